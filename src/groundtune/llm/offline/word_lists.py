"""Lists of words that the rules lean on, each with what it is for."""

from __future__ import annotations


def word_set(text: str) -> frozenset[str]:
    """
    >>> sorted(word_set("bu  şu o"))
    ['bu', 'o', 'şu']
    """
    return frozenset(text.split())


LEANING_STARTS = {
    "tr": word_set(
        """
        bu bunu buna bunun bunlar bunların bununla bunlardan şu şunlar o onun ona onlar onların ancak ayrıca
        ardından sonra önce daha böylece böyle aksi örneğin örnek yani ama fakat çünkü dolayısıyla burada orada
        şimdi ek eğer diğer öteki birinci ikinci üçüncü ilki ikisi üçü her hepsi bazı bazıları tüm bütün kimi
        yine ise hem ya veya ve ikincisi ilk son önceki sonraki yanıtta yanıttaki istekte örnekte formülde
        aşağıdaki yukarıdaki ekran ekranda tablonun tabloda listede sistem süresi adı türü kaydı kaydın kayıtlar
        ekranın ekranı verilen asıl tablodaki listedeki ekrandaki formüldeki girilen modülün modül kalan birinin
        """
    ),
    "en": word_set(
        """
        this that these those it its they them their he she his her there here then also however but and or so
        thus therefore otherwise for such each both another other first second third next finally additionally
        furthermore in example note see the_following as please once by all any some most many now again instead
        similarly likewise alternatively below above
        """
    ),
}
"""First words of sentences that point at something outside themselves."""

BARE_SUBJECTS = word_set(
    """
    sorgu sonuç süre kayıt alan tablo değer sayı uyarı işlem kod liste satır sütun yanıt deneme sınır hesap kişi
    hata not değişiklik istek tutar oran operatör müşteri sonuçlar süreler kararlar okuma karar rapor belge ürün
    fiyat fiyatlar planlar veri numara
    """
)
"""Turkish nouns that say nothing alone, but do with a second one: "Kayıt kapanır", against "Kayıt numarası ...dır"."""

GENERIC_TITLE_WORDS = {
    "tr": word_set(
        """
        adım adımlar adımları alan alanlar alanları api ayarlar ayrıca ayrıntı ayrıntılar bakınız bakış bilgi
        bilgiler değişiklik değiştirme durumlar düzeltme ek formül formüller genel gelen giden giriş hareket
        hata hedefler işlem işlemler kapsam kaynaklar kayıt kod kodlar kodları kurallar limitler not notlar
        nokta noktalar önkoşullar önemli örnek örnekler özet parametreler roller raporlar sınırlar sonraki sorgu
        sorgular tablo tablolar tanımlar türleri uç ve veri veriler veritabanı verisi yanıt yetkiler istek için
        ile alt modüller bölümler
        """
    ),
    "en": word_set(
        """
        additional a an and api by code codes columns database data description details endpoint endpoints error
        errors example examples field fields for formula formulas general in incoming information introduction
        limits more next note notes of options outgoing overview parameters permissions prerequisites properties
        query related request requirements response rights roles rules see also settings statuses step steps
        submodules summary tables the to usage
        """
    ),
}
"""A heading made of these alone does not say what it is about: "Hata kodları", "Adım adım kayıt"."""

NOUNS_IN_R = word_set(
    """
    satır sınır bakır demir tutar gelir gider metre emir kadar karar değer miktar haber yer her bir zarar diğer
    birer tekrar defter müdür kültür sektör operatör tür ömür kur ölçer anahtar kenar duvar pazar hangar hazır
    çekirdek nominal ayar sefer eğer meğer zincir
    lider peynir mühür mamur memur seyir nehir şehir çevir radar kömür
    """
)
"""Turkish nouns that end like a verb in the aorist."""

NOT_COUNTED = word_set(
    """
    ile ve veya ya ise için olarak numaralı kodlu nolu hanesi tarihli sayılı olan dır dir kodunu koduyla
    durumuna durumunda değerini değeri durum üzerinden altında üstünde kadar ila arası arasında
    """
)
"""Words behind a Turkish figure that is a name, a bound or part of a range rather than a count."""

POINTING_BEFORE_COUNT = word_set("bu her ilk son diğer öteki o üçte yüzde")
"""Before a Turkish count word: "bu iki", "her üç" point at things named elsewhere."""

NAMING_BEFORE_FIGURE = word_set("ilk son bu o her No yaklaşık madde sıra saat en parametresi değeri kodu durumu")
"""Before a Turkish figure that is a name or an order rather than a count."""

QUESTION_STEMS = word_set(
    """
    hangi nedir nasıl kaç kaçtı yüzde fazla için ekran tablo ekranda tablod alan durum what which where when how
    long many the and for are does must table endpo sakla tutul yapıl rolde modül üzeri göre with from that
    within time
    """
)
"""Stems of words that many questions have, so that sharing them says nothing."""
