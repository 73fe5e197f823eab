"""What a Turkish clause says of there being no answer: the vocabulary, and how its parts go together.

All words are folded (:func:`.reading.fold`), so that a text without diacritics reads the same. The verb, and with it the no,
stands at the end of a Turkish clause; what may follow it is listed (`_AFTER`), and anything else behind it ("belirtilmemiş
ürünlere", "bulunmuyor olsa da") makes it part of another sentence. The aorist ("bulunmaz", "içermez") tells how things always
are, and is a denial only of what texts tell.
"""

from __future__ import annotations

import re

from groundtune.evaluation.measures.refusals.denial import Denial, any_of, surest

_NOT = r"(?:m[iu]?yo(?:r(?:lar)?)?|m[iu]yr|m[ae]m[iu]?s(?:t[iu]r?)?(?:l[ae]r(?:d[iu]r)?)?|m[ae]m[ae]kt[ae](?:d[iu]r(?:l[ae]r)?)?|m[ae]d[iu](?:l[ae]r)?)"
"""Ending of a verb that did not happen: -miyor, -memiş, -memektedir, -medi."""
_UNABLE = r"(?:[ae]?m(?:[iu]yo(?:r(?:lar)?)?|[ae]d[iu]|[ae]m[iu]s(?:t[iu]r)?|[ae]m[ae]kt[ae](?:d[iu]r)?))"
"""The same of what could not be done: -amıyor, -amadı, -amamış."""
_BECAUSE = r"(?:m[ae]d[iu]g[iu]n?(?:i|u)?(?:nd[ae]n| icin)|m[ae]m[ae]si (?:nedeni|sebebi)\w*)"
_TOLD = (
    r"(?:belirt(?:il)?|bahs(?:et|edil|i gec|inde bulun)|soz (?:et|edil|konusu ed)|degin(?:il)?|acikla(?:n)?|anlat(?:il)?|yaz(?:il)?|"
    r"an(?:il)|gec|ifade (?:et|edil)|(?:ele|konu) (?:al(?:in)?|edil)|isle(?:n)|soyle(?:n)?|d(?:e|i|en)|zikret|zikred(?:il)?|irdelen|irdele|dokun(?:ul)?|uzerinde dur(?:ul)?|yer bul|gundeme gel|aktar(?:il)?|bildir(?:il)?|raporlan|kaydedil|not dusul|kayit dusul|karara baglan|"
    r"hukme baglan|ima et|ima ed(?:il)?|ongor(?:ul)?|betimle(?:n)?|say(?:il)?|ayrintila(?:n)?|pas gec(?:il)?|tanit(?:il)?|listelen|sirala(?:n)?|"
    r"(?:detay|ayrinti)landir(?:il)?|duzenlen|(?:konu\w*|detay\w*|ayrinti\w*)(?: hic)? gir(?:il)?|goze carp|(?:karsima|karsimiza) cik|aciklama yapil|bilgi gec|kapsama al(?:in)?|netlestir(?:il)?|aydinlat(?:il)?|yanitla|cevapla|vurgulan|dile getiril|isaret (?:et|edil)|"
    r"yer ver(?:il)?|atif(?:ta)? (?:yap(?:il)?|bulun)|temas (?:et|edil)|tarif edil|(?:acik|net)lik getir(?:il)?|"
    r"(?:yanit|cevap|bilgi|detay|ayrinti|aciklama) (?:ver(?:il)?|sun(?:ul)?|icer|sagla|tasi|barindir))"
)
"""What texts do: state, mention, describe."""
_HELD = (
    r"(?:bulun|yer al|icer|ver(?:il)?|sun(?:ul)?|barindir|sagla(?:n)?|paylas(?:il)?|goster(?:il)?|kapsa|tanimlan|eklen|ilet(?:il)?|"
    r"gonderil|yuklen|kal|rastlan|kaydedil|dahil edil)"
)
"""What things do too: contain, be there."""
_FOUND = r"(?:bulun|ulasil|rastlan|erisil|cikaril|anlasil|tespit edil|belirlen|saptan|edinil|yanitlan|cevaplan|soylen|goril|gorul|goz[ue]k|elde edil)"
_ABSENT = (
    rf"(?:{_HELD}{_NOT}|{_FOUND}{_UNABLE}|yok(?:t[iu]r|mus)?|mevcut (?:degil|olmayan)(?:d[iu]r)?|var degil|"
    r"cik(?:madi|miyor|mamis)|(?:bir )?parcasi degil(?:dir)?|arasinda degil(?:dir)?|dahil degil(?:dir)?|disinda(?:dir| kal\w*| birakil\w*)?|eksik(?:tir)?)"
)
_UNTOLD = (
    rf"(?:{_TOLD}{_NOT}|{_TOLD}{_UNABLE}|yazili degil(?:dir)?|acik birakil(?:mis|iyor)\w*|"
    r"(?:belirsiz|muglak)(?:dir)?|belirsiz birak\w*|(?:sessiz|suskun)(?:dur|dir)?(?: kal\w*)?|susuyor|(?:tek|hicbir|bir tek) (?:kelime|satir|sey) yok|"
    r"muallak\w*|bos birakil(?!abil|ama)\w*|es gecil\w*|atlan(?:mis|iyor)\w*|es gec(?:mis|iyor|ilmis)\w*|atla(?:mis|miyor|yip|yarak)\w*|(?:aciklik|netlik|isaret) (?:yok|bulunmuyor))"
)

_TEXT = (
    r"(?:baglam|metin|metn|pasaj|paragraf|dokuman|dokumantasyon|belgeler|kilavuz|rehber|makale|yazida|yazinin|icerik|icerig|"
    r"kaynaklar|alinti|bolum|kesit|ozet|el kitab|yonerge|talimat|brosur|ansiklopedi|parcada|biyografi|wiki|sss\b|yardim sayfa|bilgi bankasi|veri taban)\w*"
)
"""By names that documents do not use of the things they are about."""
_PAPER = (
    r"(?:belge|sayfa|tarif|liste|sozlesme|police|sartname|tablo|madde|not|dosya|yonetmelik|mevzuat|ilan|duyuru|haber|ek|"
    r"garanti|prosedur|katalog|menu|kaynak|kayna|regl?aman|kanun|teklif|afis|form|sema)(?:si|sinin|sinda|nin|nda|[dt]a|[dt]e|in|un|ler|lar|lerde|larda|"
    r"s?[iu]n?[dt][ea]|s?in|i|u|de|da|[iu]niz\w*|im\w*|m[iu]z\w*|mda|lerin\w*|larin\w*|ne|na|ya|ye|g[iu]\w*|)(?:ki)?(?!\w)"
)
"""What tells and also acts: a recipe has no sugar, a policy does not cover."""
_GIVEN = (
    r"(?:(?:bana )?(?:(?<!izin )(?<!yer )verilen|saglanan|sunulan|paylasilan|iletilen|gonderilen|yuklenen|aktarilan)|paylastiginiz|gonderdiginiz|ilettiginiz|verdiginiz|"
    r"yuklediginiz|eldeki|elimdeki|elimizdeki|onumdeki|yukaridaki|erisebildigim|baktigim|mevcut (?=dokum|belge|metin|kaynak|bilgi))"
)
_INFO = (
    r"(?:bilgi|malumat|ayrinti|detay|aciklama|ifade|ibare|cevap|cevab|yanit|veri|hukum|cumle|baslik|yonlendirme|duzenleme|adim|"
    r"bahis|kelime|satir|sey|bisey|not|madde|yonerge|deger|tanim|atif|referans|ipucu|belirti|emare|icerik|icerig|bolum|bolumu|paragraf|anlatim|bahis|liste)"
)
_ABOUT = r"(?:hakkinda(?:ki|ysa)?|ilgili|ilgli|ilgil|iliskin|dair|alakali|konusunda(?:ki)?|konusu|yonelik|uzerine|icin|gore|bakimindan|acisindan|konularinda)"
_THIS = r"(?:bu|bunu|buna|bunun|bundan|bununla|su|o|onu|boyle|oyle|sorulan|sordugunuz|sorunuz\w*|soru\w*|istenen|istediginiz|soz konusu|ilgili|konu\w*|hususta)"

_AFTER = (
    rf"(?: (?:{_TEXT}|{_PAPER}|{_GIVEN}|{_THIS}|maalesef|malesef|uzgunum|acikcasi|ne|yazik|ki|hic|hicbir|burada|orada|elimde|elimizde|bende|"
    r"gibi|gorunuyor|gozukuyor|gorunmektedir|gorunmekte|valla|yani|simdilik|hicbir yer\w*|yer\w*|efendim|durumda(?:dir)?|sanirim|galiba|hocam|kusura|bakma\w*|uzgunuz|de|da|"
    r"bilgi|bir|bilgidir|sekilde|zaten|icinde|tam olarak|net|acikca|dolayisiyla|yuzden|nedenle|sebeple|ya|iste|zira|tarafimca|quoted))*$"
)

_SELF = (
    r"\b(?!tamam|hamam|imam|makam)\w{2,}(?:m[iu]yo(?:ru)?[mz]|m[ae]d[iu][mk]|m[ae]y[ae]c[ae]g[iu][mz]|m[ae]m[ae]kt[ae]y[iu][mz]|[ae]m[ae]m|[ae]m[ae]y[iu]z|m[ae]m[iu]s[iu][mz]|bilmem|istemem|diyemem)\b|\bbulamdim\b",
    r"\b(?:bilgim|fikrim|haberim|malumatim|verim|bilgimiz|erisimim|cevabim|yanitim)\w*(?: \w+){0,2} (?:yok\w*|bulunm\w+|degil\w*|olmadi\w*)",
    r"\b(?:bilgi\w*|veri\w*|kaynag\w*|belge\w*|metn\w*|cevab\w*|yanit\w*) sahi(?:p|bi) (?:degilim|degiliz|olmad\w+)",
    r"\b\w+ degil(?:im|iz)\b|\bdesem yalan olur|\bsoru isareti\b|\bhavada kal\w+|\bbelirsizligini kor\w+|\bhak getire",
    r"\b(?:elimde|elimizde|bende|tarafimda)\b.*\b(?:yok\w*|bulunmu\w+|bulunma\w+|mevcut degil\w*)",
    r"\b(?:yok\w*|bulunmu\w+|mevcut degil\w*) (?:elimde|bende|elimizde)\b",
    rf"\bbana\b.*\b{_HELD}{_NOT}\b",
    r"\bdaha (?:fazla|cok|detayli|ayrintili) (?:bilgi|baglam|detay|ayrinti|belge|metin)\w* (?:ihtiyac\w*|gerek\w*|lazim|olmadan|vermeniz|saglamaniz|paylasmaniz)",
    r"\b(?:bilgim|uzmanligim|kapsamim|yetkim)\w* disinda\w*",
    r"\b(?:uydur\w*|tahmin\w*|spekulasyon\w*|varsayim\w*)(?: \w+){0,2} (?:olur|olacak\w*|istem\w+|etmek istem\w+|yurut\w+ istem\w+|dogru olm\w+|girer)",
    r"\b(?:baska|farkli)(?: bir)? (?:kaynag|kaynak|yer|belge|dokuman|metin|metn|metne|merci)\w*(?: \w+)? (?:bak|basvur|ara|danis|gerek|lazim|incele|yonel)\w*",
    r"\b(?:kesin|net) (?:konusam\w+|bir sey (?:diyem|soyleyem)\w+)|\bkeske (?:bil|soyle|yardimci)\w+|\b(?:ne evet ne hayir|hicbir fikr\w+|fikrim yok)\b|\b(?:cevapsiz|yanitsiz) birak\w+",
    r"\bbilgi dagarcigim\w*|\bbilmem\b(?! gerek)",
)
"""Of the one who answers."""

_DO_TELL = r"(?:yanit|cevap|cevab|soyle|bil(?:mek|gi)|belirle|ulas|cikar|tespit|demek|acikla|yorum|tahmin|anla|bulma|teyit|dogrula|vermek|gorus|kesin)\w*"
_IMPOSSIBLE = (
    rf"\b{_DO_TELL}(?: \w+){{0,4}} (?:mumkun (?:degil|olmad|olma|gorunm|gozukm)\w*|imkansiz\w*|olanaksiz\w*|olanakli degil\w*|imkan\w* (?:yok|bulunm)\w*|"
    r"dogru olmaz|dogru olmayacak\w*|yanlis olur|yaniltici olur|guc\b|zor\b)",
    rf"\b(?:mumkun degil|imkansiz) {_DO_TELL}",
    r"\b(?:soru\w*|cevab\w*|yanit\w*|bun\w+)(?: \w+){0,5} (?:yeterli|yeterince|kafi)(?: \w+){0,3} (?:degil\w*|yok\w*|icermi\w+|icerme\w+|bulunm\w+|sunm\w+|verm\w+|saglam\w+)",
    r"\b(?:soru\w*|bu\w*)(?: \w+){0,4} (?:yanit|cevap)(?:la|i|si)?\w*(?: \w+){0,2} (?:yok\w*|bulunm\w+|verilm\w+|belirsiz\w*|bilinmiyor|bilinmemekte\w*|mevcut degil\w*)",
    r"\b(?:yanitlanam|cevaplanam|cevapsiz|yanitsiz)\w*",
    r"\b(?:yeterli|yeterince|hicbir|herhangi bir) (?:bilgi|veri|kaynak|detay|ayrinti|aciklama|icerik)\w*(?: \w+){0,2} "
    rf"(?:{_HELD}{_NOT}|{_FOUND}{_UNABLE}|yok\w*|mevcut degil\w*)",
)

_RAW_CERTAIN = (
    *_SELF,
    *_IMPOSSIBLE,
    rf"\b(?:{_TEXT}|{_GIVEN})(?: \w+)* (?:acik|net|belli|belirli) (?:degil|olmu|olma)\w*",
    r"\b(?:soylen|bilin|saptan|cikaril|yanitlan|cevaplan|anlasil|belirlen|kestiril|dogrulan|teyit edil|cikarilabil)[ae]m[ae]z(?:di)?$",
    rf"\b(?:{_TEXT}|{_GIVEN})(?: \w+)* (?:baska (?:bir )?konu\w*|sinirli(?:dir)?|ise?inize yaramaz|alakasiz\w*|ilgisiz\w*|ilgili degil\w*)",
    r"^(?:cevap |yanit )?(?:bilinmiyor|belirsiz|mechul|muallak)$",
    r"\b(?:bana )?verilenler\w* (?:disinda|otesinde|arasinda (?:yok|degil|bulunm\w+))\b",
    r"\bbaska(?: bir)? (?:yer|sayfa|bolum|belge|dokuman|kaynak|kaynag)\w*(?: \w+)? (?:anlat|acikla|yer al|ele al|bulun|yaz|belirtil|tarif|islen)\w*",
    r"^(?:bu )?konu\w*(?: \w+)? (?:sifir|hic) (?:bilgi|fikir)|\bsifir bilgi",
    rf"\b(?:{_INFO}|konu|soru|bahis|bahsi)\w* (?:hic )?(?:yer ayril|acil|konu edil|isl?en|girilm){_NOT}",
    rf"\b(?:{_TEXT}|{_PAPER}|{_GIVEN})(?: \w+)* {_UNTOLD}{_AFTER}",
    rf"\b{_UNTOLD} (?:{_GIVEN} )*(?:{_TEXT}|{_PAPER})",
    rf"\b(?:{_TEXT}|{_PAPER}) (?:\w+ )*(?:{_TOLD})m(?:ez|az){_AFTER}",
    rf"\b(?:{_TEXT}|{_GIVEN})(?: \w+)* (?:{_TOLD}|{_HELD}){_BECAUSE}",
    rf"\b(?:{_TEXT}|{_GIVEN})(?: \w+)* (?!bilgisi ){_INFO}\w*(?: \w+){{0,3}} {_ABSENT}{_AFTER}",
    rf"\b(?:{_TEXT}|{_GIVEN})(?: \w+)* (?:bu|soz konusu|sorulan|sordugunuz) (?:konu|soru|husus|ozellik|islem)\w*(?: \w+){{0,2}} (?:{_ABSENT}|{_UNTOLD}){_AFTER}",
    rf"\b{_INFO}\w* (?:\w+ ){{0,2}}(?:{_GIVEN} )*(?:{_TEXT})(?: \w+){{0,3}} {_ABSENT}{_AFTER}",
    rf"\b{_ABOUT}(?: \w+){{0,4}} {_INFO}\w*(?: \w+){{0,2}} (?:{_ABSENT}|{_UNTOLD}){_AFTER}",
    rf"\b{_THIS}(?: \w+)* {_INFO}(?:ye|yi|ler|lere|si|i|a|ya|yla|e|)?(?: \w+){{0,3}} (?:{_ABSENT}|{_UNTOLD}){_AFTER}",
    rf"^(?:hicbir |herhangi bir |yeterli |ilgili |net |kesin |boyle bir |oyle bir )?(?:bir )?(?:bilgi|veri|kayit|cevap|yanit|sonuc|aciklama)(?:ye|ya)? (?:maalesef )?{_ABSENT}{_AFTER}",
    rf"^(?:bu |sorulan |istenen |sordugunuz )(?:bilgi|konu|soru|husus|ayrinti|detay|ozellik|islem)\w*(?: \w+)* (?:{_ABSENT}|{_UNTOLD}){_AFTER}",
    rf"\b{_GIVEN}(?: \w+){{1,3}} (?:\w+ ){{0,4}}{_ABSENT}{_AFTER}",
    rf"\b{_TEXT}(?: \w+)* {_INFO}\w* (?:sunm|verm|icerm|saglam|barindirm)(?:ez|az)\b",
    rf"\b(?:{_TEXT}|{_GIVEN}) (?:\w+ )*mevcut olmayan (?:bir )?{_INFO}\w*",
    rf"\b{_INFO}\w* (?:iceren|veren|bulunan|yer alan) (?:bir |herhangi bir )?\w+ (?:{_ABSENT})",
    rf"^(?:maalesef |ne yazik ki |acikca |net olarak )*(?:{_TOLD}{_NOT})$",
    rf"\b{_INFO}\w* (?:icerm|verm|sunm|saglam)[ae]z$",
    rf"\b(?:{_TEXT}|{_PAPER}) (?:kapsami |icerigi )?disinda (?:birak|kal|tut)\w*",
    rf"\bek \w+ (?:\w+ ){{0,3}}(?:{_ABSENT})",
)
_RAW_ASKED = (
    rf"\b{_GIVEN}(?: \w+)* \w+{_NOT}{_AFTER}",
    rf"\b(?:{_TEXT}|{_PAPER})(?: \w+)* (?:yetersiz|gelmeden (?:kesil|bit)\w+)",
    r"\b(?:tutar|miktar|sayi|tarih|sure|ad|fiyat|rakam|deger)\w* degil$",
    rf"\b(?:olup olma\w+|\w+[iu]p \w+m[ae]\w+)(?: \w+)* (?:\w+{_NOT}|yok\w*|degil\w*){_AFTER}",
    r"\b(?:noksan|unutulmus|atlanmis|es gecilmis)\w*$",
    r"\b(?:olup olm\w+|\w+[iu]p \w+m[ae]\w+|kac\w*|ne \w+|hangi\w*|kim\w*|nasil|nere\w*|neden\w*)\b(?: \w+)* (?:acik|belli|net|belirli|kesin|belirsiz)(?: degil)?(?:dir)?$",
    rf"\b(?:{_TOLD}{_NOT}|yazili degil(?:dir)?|(?:aciklik|netlik) (?:yok|bulunmuyor)|es gecmis\w*|acik birakil\w*|(?:tek|hicbir) (?:kelime|satir|sey) yok){_AFTER}",
    rf"\b(?:metin|(?:{_TEXT})(?<![iu]n))(?: \w+)* {_ABSENT}{_AFTER}",
    rf"\b(?:yok(?:tur)?|{_HELD}{_NOT}) (?:{_GIVEN} )*{_TEXT}",
    rf"\b(?!icin|gore){_ABOUT} (?!.*(?:kanit|delil))(?:\w+ ){{0,3}}(?:{_ABSENT}){_AFTER}",
    rf"\b{_THIS} (?:konu|soru|husus|bilgi|durum|islem|ozellik)\w* (?:\w+ ){{0,2}}(?:{_ABSENT}|{_UNTOLD}){_AFTER}",
    rf"\b(?:{_PAPER})(?: \w+)* {_INFO}\w*(?: \w+){{0,2}} {_ABSENT}{_AFTER}",
)
_RAW_OPEN = (
    r"^(?:\w+ ){1,4}bilinm(?:iyor|emekte(?:dir)?)$",
    r"^(?:pek |cok |tam )?(?:belli|net|acik|kesin) degil$",
    rf"^(?!.*\b(?:bugune|henuz|hala|hicbir zaman|tarihci\w*|arastirma\w*|bilim\w*)\b)(?:\w+ )*(?!(?:yoktur|disinda)){_ABSENT}{_AFTER}",
)


_LEVELS = (
    (Denial.CERTAIN, any_of(_RAW_CERTAIN)),
    (Denial.IF_ASKED, any_of(_RAW_ASKED)),
    (Denial.IF_OPEN, any_of(_RAW_OPEN)),
)
_CUE = re.compile(
    r"yok|degil|m[iu]yo|[ae]m[ae]|m[ae]d[iu]|m[ae]m|m[ae]y|m[iu]s|icerm[ae]z|m[ae]z|disinda|sessiz|suskun|susuyor|belirsiz|muglak|muallak|imkansiz|olanaksiz|zor\b|guc\b|yanlis|yaniltici|olmayan|"
    r"ihtiyac|gerek|lazim|baska|farkli|sinirli|alakasiz|ilgisiz|yaramaz|uydur|tahmin|spekulasyon|varsayim|keske|fikr|yalan olur|soru isareti|havada|hak getire|sifir|birak|atla|es gec|eksik|bulamd|bilmem|"
    r"dagarcig|yaniti?siz|cevapsiz|belirsizlig|\bm[iu]\b"
)
"""Cheap to look for: a clause without any of these denies nothing."""

NAMES_TEXTS = re.compile(rf"\b(?:{_TEXT}|{_PAPER}|{_GIVEN})")
TURNS = re.compile(
    r"^(?:ama|ancak|fakat|lakin|yine de|bununla birlikte|buna ragmen|genellikle|genelde|genel olarak|tahminimce|normalde|muhtemelen|sanirim|galiba|bence|buyuk ihtimalle|yine|tipik olarak|cogunlukla|genel bilgi\w*)\b"
)
CONCLUDES = re.compile(r"^(?:dolayisiyla|bu nedenle|bu yuzden|bu sebeple|o halde|demek ki|yani|oyleyse|buradan)\b")
TELLS = re.compile(
    r"\b(?:bahsed\w+|soz edil\w+|anlat\w+|yaz(?:iyor|ilmis|ili)\w*|belirtil(?:iyor|mis|mekte)\w*|acikla(?:niyor|nmis|nmakta)\w*|yer al\w+|gec(?:iyor|mekte|mis)\w*|"
    r"deginil\w+|ele alin\w+|iceriyor|listelen\w+|verilm?is\w*|veriliyor|goster(?:il)?iyor|diyor|soyluyor|hakkindadir|mevcut\w*|bulunuyor|bulunmaktadir)$"
)
"""What a text tells instead."""
OFFERS = re.compile(
    r"\b(?:yardim|danis|basvur|iletisim|irtibat|sorabil|sorman|sorun|kontrol|bakabil|bakin|bakma|incele|paylas|oner|arayabil|aray[iu]|aramani|ogrenebil|isteyebil|destek|"
    r"goru[sş]me|ziyaret|gonder|iletirs|yonlendir|tavsiye|ulasabil|yuklers|edinebil|teyit|inceley|bilgi alabil|bilgi alin|cevaplayabil|yanitlayabil|deneyin)\w*"
)
MORE = re.compile(r"\b(?:baska|diger|daha fazla|ayrica|bunun disinda|bunlarin disinda|otesinde|istisna\w*)\b")
ASKS_BACK = re.compile(
    r"\b(?:paylas|ac|belirt|ver|gonder|ilet|netlestir|yukle|detaylandir)(?:ar|er|ir|ur)? ?m[iu]s[iu]n(?:[iu]z)?\b"
)


def denial(clause: str) -> Denial:
    """How surely `clause` says that there is no answer.

    >>> denial("metinde ucreti belirtilmemis"), denial("bilmiyorum"), denial("kutuda adaptor yok"), denial("kutuda adaptor var")
    (<Denial.CERTAIN: 3>, <Denial.CERTAIN: 3>, <Denial.IF_OPEN: 1>, <Denial.NONE: 0>)
    """
    return surest(clause, _CUE, _LEVELS)
