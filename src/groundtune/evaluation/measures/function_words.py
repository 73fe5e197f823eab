"""Words that carry no content of their own: articles, pronouns, conjunctions, auxiliaries, and yes and no."""

from __future__ import annotations

from groundtune.types import Language

_WORDS = {
    "tr": """
        acaba ama ancak artık asla aynı ayrı ayrıca az bana bazı belki ben beni benim beri bile bir biraz biri birkaç birlikte biz
        bize bizim böyle böylece bu buna bunda bundan bunlar bunları bunların bunu bunun burada büyük bütün çoğu çok çünkü
        da daha dahi dair de değil değildir denir diğer diye dolayı dolayısıyla dışında edilen edilir edilmez eden eder ederek en
        et eğer evet fakat gerekir gerekmez gereken gibi göre hangi hangisi hatta hayır hem hep hepsi her herhangi herkes hiç hiçbir
        için içinde ile ilgili ise iken kadar karşı kendi kez ki kim kimse küçük lazım mi mı mu mü nasıl ne neden nedir nedenle
        nerede nereye niçin niye o olan olarak oldu olduğu olduğunda olmak olmalı olmalıdır olmaz olsa olup olur ona ondan onlar
        onları onların onu onun önce ötürü öyle pek rağmen sadece sanki sen siz sonra sonunda şey şeyler şimdi şöyle şu şuna
        şunlar şunu tam tarafından tüm tümü üzere üzerinde üzerinden var vardır ve veya ya yalnız yalnızca yani yapılan yapılır
        yapılmaz yer yine yok yoksa yoktur yönelik zaman zaten
    """,
    "en": """
        a about above after again against all also am an and any are as at be because been before being below between both
        but by can cannot could did do does doing don down during each either else ever every few following for from further
        had has have having he her here hers him his how however i if in into is it its itself just may me might more most
        must my neither no nor not now of off on once one only or other our ours out over own per same shall she should since
        so some such than that the their theirs them then there therefore these they this those through thus to too under
        until up upon us very via was we were what when where whether which while who whom whose why will with within without
        would yes yet you your yours
    """,
}
FUNCTION_WORDS: dict[Language, frozenset[str]] = {
    language: frozenset(words.split()) for language, words in _WORDS.items()
}
