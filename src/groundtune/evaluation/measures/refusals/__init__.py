"""Refusals in other words than the configured one, in Turkish and English.

Ways of saying "I do not know" are without number, so none is looked for as a whole. An answer is read in clauses
(:mod:`.reading`). Each is asked how surely it denies that there is an answer: by what it says of texts, of telling and of the
speaker (:mod:`.turkish`, :mod:`.english`), and by whether anything is left in it that could be an answer once the words of the
question and all talk of texts and knowing are taken away (:mod:`.novelty`). What the question wants (a yes or no, a fact, a reason)
decides whether a no answers it, and what stands before and after, whether something was answered all the same (:mod:`.deciding`).

Measured on 150 refusals and 150 answers that look like one, by other hands and never read by those who wrote this: 112 of the 150
refusals are found (75%), and 6 of the 150 answers are taken for one (4%). Of 10,069 right answers of XQuAD, PolicyQA and the example
project, 16 are (0.16%). So rates of refusing are told a quarter too low for a model that refuses in words of its own.

What this package does not do: know the configured refusal (:func:`groundtune.evaluation.measures.words.is_refusal`), other
languages, or meaning: a judge model reads what no list of words can tell.
"""

from groundtune.evaluation.measures.refusals.deciding import refuses_in_other_words

__all__ = ["refuses_in_other_words"]
