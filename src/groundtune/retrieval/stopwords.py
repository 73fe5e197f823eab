"""Words too common to tell one chunk from another: short lists of our own, already in lower case.

Words that ask ("nasıl", "which") are among them: a chunk that happens to hold one does not answer better for it.
"""

from __future__ import annotations

from collections.abc import Mapping

from groundtune.types import Language

_TURKISH = """
acaba ama ancak artık aynı bana bazı belki ben beni benim bile bir biri birkaç birçok biz bize bizi bizim bu buna bunda
bundan bunlar bunların bunu bunun burada böyle bütün çok çünkü da daha de değil dek diye dolayı eğer en eden eder edilir
etmek gibi göre hangi hangisi hangileri hem hep her herhangi hiç için içinde ile ilgili ise işte kadar kaç kaçtır kez ki
kim kimdir kimin kimler mi mı mu mü mıdır midir mudur müdür nasıl nasıldır ne neden nedir nelerdir neler nerede nereden
nereye neye niçin niye o olan olarak oldu olduğu olduğunu olmak olması olur ona ondan onlar onların onu onun orada
oysa öyle pek rağmen sadece sen siz size sizin sonra şey şöyle şu tarafından tüm üzere üzerinden var vardır ve veya ya
yalnız yalnızca yani yapılır yapmak yer yok yoksa zaman
"""

_ENGLISH = """
a about after all also an and any are as at be because been before being between both but by can could did do does doing
done down each few for from get gets had has have having he her here his how i if in into is it its itself just many may
me more most much must my need no nor not now of off on once only or other our out over own same shall she should so
some such than that the their them then there these they this those through to too under until up us use used uses using
very was we were what when where which while who whom whose why will with without would you your
"""

_PLAIN = str.maketrans("çğıöşü", "cgiosu")
# typed without diacritics, except where that is a word of its own: şu, su (water)
_TURKISH_PLAIN = {word.translate(_PLAIN) for word in _TURKISH.split()} - {"su"}

STOP_WORDS: Mapping[Language, frozenset[str]] = {
    "tr": frozenset(_TURKISH.split()) | _TURKISH_PLAIN,
    "en": frozenset(_ENGLISH.split()),
}
"""By language; other languages have none."""

ALL_STOP_WORDS = frozenset().union(*STOP_WORDS.values())
"""For a query whose language is not known."""
