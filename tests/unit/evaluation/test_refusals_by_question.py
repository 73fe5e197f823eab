"""Refusals and answers as they follow a question: what was asked decides what a no says. All sentences are our own."""

import pytest

from groundtune.evaluation.measures.refusals import refuses_in_other_words
from groundtune.evaluation.measures.refusals.reading import asked, clauses

REFUSALS = (
    ("How long is the warranty?", "On this, the passages are silent."),
    ("Garanti kaç yıl?", "Bir şey yazmıyor."),
    ("SEV-201 nedir?", "SEV-201: Bilmiyorum."),
    ("Sunucunun konumu nedir?", "Sunucunun konumu bilinmiyor."),
    ("Sunucu nerede?", "Sunucunun konumu bilinmiyor."),
    ("What does URT-305 mean?", "URT-305 isn't listed among the error codes given here."),
    ("What is the warranty period?", "No, the passages do not mention it."),
    ("What is the user limit?", "There is no limit mentioned in the text."),
    ("SEV-201 nedir?", "SEV-201: Belgelerde açıklanmamış."),
    ("Azami palet ağırlığı nedir?", "Verilen bağlamda azami palet ağırlığına ilişkin bilgi bulunmamaktadır."),
    (
        "Hurda raporunu kim imzalar?",
        "Belgelerde hurda raporunun nasıl oluşturulduğu açıklanmış, ancak kimin imzaladığı belirtilmemiştir.",
    ),
    ("Hurda raporunu kim imzalar?", "Kimin imzaladığını bu metinden çıkarmak mümkün değil."),
    ("Tarayıcı QR kod okuyor mu?", "Dokümanda QR ile ilgili bir şey görmedim."),
    ("Tarayıcı QR kod okuyor mu?", "Bu konuda net bir bilgi verilmemiş."),
    ("Köprü ne zaman açıldı?", "Açılış tarihi parçada yok."),
    ("Köprü ne zaman açıldı?", "Köprünün açılış tarihi belirtilmemiştir."),
    ("Norveç'e kargo ücreti ne kadar?", "Sayfada yurt içi ücretleri var, Norveç yok."),
    ("Varsayılan zaman aşımı kaç saniye?", "Varsayılan zaman aşımı süresi sağlanan dokümantasyonda yer almıyor."),
    (
        "Varsayılan zaman aşımı kaç saniye?",
        "Kılavuz zaman aşımının değiştirilebildiğini söylüyor ama varsayılan değeri vermiyor.",
    ),
    ("Krem paraben içeriyor mu?", "Broşürde kremin paraben içerip içermediği yazmıyor."),
    ("Krem paraben içeriyor mu?", "Kremin içeriği listelenmediği için bunu söylemem mümkün değil."),
    ("İkinci eşinin adı ne?", "İkinci eşi hakkında bilgi yok."),
    ("Kaç araçlık otopark var?", "Otopark kapasitesi hakkında bir şey yazmıyor."),
    ("Kaç araçlık otopark var?", "Bu ayrıntı elimdeki kaynaklarda bulunmuyor."),
    ("Onay kaç gün sürüyor?", "Sürenin ne olduğu açıkça ifade edilmemiş, dolayısıyla kesin bir şey söyleyemem."),
    (
        "Hangi tarayıcılar destekleniyor?",
        "Merhaba, sorunuz için teşekkür ederim. Bana ulaşan yardım sayfalarında desteklenen tarayıcıların listesine rastlayamadım. Destek ekibimiz size memnuniyetle yardımcı olacaktır.",
    ),
    (
        "Gecikme cezası ne kadar?",
        "Sözleşmede cezanın Ek-B'de düzenlendiği yazıyor, Ek-B ise paylaşılan belgeler arasında değil.",
    ),
    ("Havuz ısıtmalı mı?", "Broşürde havuzdan bahsediliyor ancak ısıtmalı olup olmadığına dair bir bilgi yok."),
    ("Havuz ısıtmalı mı?", "Isıtma konusuna hiç girilmemiş."),
    ("Sayaç nasıl sıfırlanır?", "Eldeki bilgilerle bu soruya cevap vermem mümkün görünmüyor."),
    ("General nereye gömüldü?", "Nereye gömüldüğünü bilmiyoruz; metin bunu söylemiyor."),
    ("General nereye gömüldü?", "Metin, generalin ölümünden sonrasını ele almıyor."),
    (
        "Poliçe akupunkturu karşılıyor mu?",
        "Akupunkturun karşılanıp karşılanmadığına ilişkin açık bir ifade bulunmuyor.",
    ),
    (
        "Kırmızı ışık ne anlama geliyor?",
        "Kılavuzda yeşil ve sarı ışıkların anlamı verilmiş, kırmızı ışık açıklanmamış.",
    ),
    ("Şirketin kaç çalışanı var?", "Çalışan sayısına ilişkin veri paylaşılmamıştır."),
    ("Şirketin kaç çalışanı var?", "Raporda çalışan sayısı açıklanmıyor."),
    ("Servis sıcaklığı kaç derece?", "servis sicakligi yazmiyo"),
    ("18 yaşından küçükler hesap açabilir mi?", "Bu soru, sağlanan metinlerin kapsamı dışında kalıyor."),
    (
        "18 yaşından küçükler hesap açabilir mi?",
        "Bu konuda tahminde bulunmak istemem, belgede yaşla ilgili bir şart yazmıyor.",
    ),
    ("API istek sınırı nedir?", "İstek sınırı hiçbir yerde belirtilmiyor."),
    ("Tork birimi nedir?", "Yeterli bilgi yok."),
    ("Tork birimi nedir?", "Bağlam bu soruya yanıt vermiyor."),
    ("Marşı kim besteledi?", "Besteci adı verilmemiş."),
    ("Binada asansör var mı?", "Merdiven ve rampalardan söz ediliyor ama asansörle ilgili bir bilgi göremedim."),
    (
        "Dışa aktarma biçimi nedir?",
        "Soruda dışa aktarma biçimi soruluyor, oysa verilen metin sadece içe aktarmayı işliyor. Bu nedenle cevap veremiyorum.",
    ),
    (
        "İnternetten iptal edebilir miyim?",
        "Bu konuda kesin bilgi veremiyorum; belgelerde internetten iptal anlatılmıyor.",
    ),
    ("İnternetten iptal edebilir miyim?", "Bu sorunuzun yanıtı ne yazık ki bende yok."),
    ("Kule kaç metre?", "Metinde kulenin yaşı ve mimarı geçse de yüksekliği verilmemiş."),
    ("En az sipariş miktarı kaç?", "Baktım ama asgari sipariş miktarı diye bir şey geçmiyor hiçbir yerde."),
    ("Mühendis neden istifa etti?", "Metin istifanın gerekçesini açıklamıyor."),
    ("Mühendis neden istifa etti?", "Bu bilgiye metinden ulaşamıyoruz."),
    (
        "What is the maximum pallet weight?",
        "The provided context doesn't include any information on maximum pallet weight.",
    ),
    (
        "How often is the price list refreshed?",
        "I'm sorry, but the provided passages do not contain information about how often the price list is refreshed. They only describe how to create one.",
    ),
    ("Can the scanner read QR codes?", "Nothing here about QR codes."),
    ("What colour is the emergency label?", "The label's colour isn't described in any of the passages."),
    ("How much does shipping cost to Norway?", "Shipping costs to Norway are not listed."),
    ("What is the default timeout?", "The default timeout value is not provided in the given context."),
    (
        "Who was her second husband?",
        "The text mentions only her first husband, Karl; the name of her second husband does not appear.",
    ),
    ("How many parking spaces are there?", "I don't have that detail, sorry."),
    (
        "How long does the approval take?",
        "The approval flow itself is outlined in section 3. As for how long it takes, no timeframe is given.",
    ),
    ("Which browser is supported?", "Supported browsers: not stated in the documents."),
    ("Is the pool heated?", "It's not possible to say from the brochure text whether the pool is heated."),
    ("How do I reset the counter?", "The steps for resetting the counter are missing from the provided documentation."),
    (
        "What is the boiling point mentioned for compound B?",
        "The passage gives a boiling point for compound A only; none is given for compound B.",
    ),
    ("Where was the general buried?", "We aren't told where he was buried."),
    (
        "Does the plan cover acupuncture?",
        "I couldn't confirm that: acupuncture doesn't come up in the policy document.",
    ),
    (
        "What does the red LED mean?",
        "The guide covers the green and amber LEDs, but there's no description of the red one.",
    ),
    ("How many employees does the company have?", "That information isn't available to me."),
    ("How many employees does the company have?", "As an AI language model, I don't have access to company data."),
    ("What is the serving temperature?", "serving temp isnt mentioned"),
    ("Can minors open an account?", "This falls outside the information contained in the provided passages."),
    (
        "Can minors open an account?",
        "It would be speculation on my part to answer this; the terms provided don't discuss minors.",
    ),
    (
        "What is the API rate limit?",
        "The docs describe authentication, pagination and error codes, yet a rate limit is nowhere to be found.",
    ),
    ("Which unit is used for torque?", "Insufficient information."),
    ("Which unit is used for torque?", "The context does not answer this question."),
    ("Who composed the anthem?", "Sorry, there isn't anything in the source about who composed the anthem."),
    ("Who composed the anthem?", "No composer is mentioned in the passage."),
    ("Is there a lift in the building?", "The access statement doesn't tell us if there is a lift."),
    (
        "What is the export format?",
        "The question asks about the export format, but the given text only deals with imports. Therefore, I cannot provide an answer.",
    ),
    ("What is the export format?", "The export format cannot be determined from the provided text."),
    ("Can I cancel online?", "Your question about cancelling online isn't answered by the documents I can see."),
    ("Can I cancel online?", "I have nothing on online cancellation."),
    (
        "How tall is the tower?",
        "While the passage mentions the tower's age and architect, it does not provide its height.",
    ),
    ("How tall is the tower?", "The text provides no information as to the tower's height."),
    ("What's the minimum order?", "hmm not sure, doesnt say"),
    ("Why did the engineer resign?", "The reasons for the engineer's resignation are not explained in the text."),
    (
        "Can drivers change the route?",
        "The manual is unclear on this point. It says routes are planned by dispatchers, but doesn't state if drivers can change them.",
    ),
    ("Kule kaç metre?", "Orası meçhul, metin bu tarafa hiç girmemiş."),
    ("Kule kaç metre?", "Yükseklik konusunda metin suskun."),
    ("Kule kaç metre?", "Hiçbir fikrim yok doğrusu."),
    ("Kule kaç metre?", "Bunu bilmemin bir yolu yok."),
    ("Kule kaç metre?", "Keşke söyleyebilsem ama yazı mimarı anlatıyor, ölçüleri değil."),
    ("Kule kaç metre?", "Yükseklik için farklı bir kaynağa başvurmanız lazım."),
    ("Kule kaç metre?", "Önümdeki metin kulenin tarihiyle sınırlı."),
    ("Kule kaç metre?", "Rakam vermem uydurma olur."),
    ("Kule kaç metre?", "Buradan cevap çıkmıyor."),
    ("Kule kaç metre?", "Bu metin işinize yaramaz, sadece mimarı tanıtıyor."),
    ("Kule kaç metre?", "Yazmıyor."),
    ("Kule kaç metre?", "Cevap yok."),
    ("Kule kaç metre?", "Metin başka bir konu hakkında."),
    ("Kule kaç metre?", "Kimin yaptığını öğreniyoruz, kaç metre olduğunu ise öğrenemiyoruz."),
    ("Kule kaç metre?", "Bu bilgi bende mevcut değil."),
    ("Kule kaç metre?", "Sorunuzu yanıtsız bırakmak zorundayım."),
    ("Kule kaç metre?", "Metinde bu kısım boş bırakılmış."),
    ("Kule kaç metre?", "Sadece bitiş yılı verilmiş."),
    ("Kule kaç metre?", "Elimdekilerle bunu söylemek güç."),
    ("Kule kaç metre?", "Kaynakta böyle bir veri göremedim, uydurmak da istemem."),
    ("Kule kaç metre?", "Yükseklik bilgisine yer ayrılmamış."),
    ("Kule kaç metre?", "Metin bu soruyu karşılamıyor."),
    ("Kule kaç metre?", "Bu sorunun karşılığını metinde bulmak olanaksız."),
    ("Havuz ısıtmalı mı?", "Olabilir de olmayabilir de, broşür o konuya girmiyor."),
    ("Havuz ısıtmalı mı?", "Isıtma broşürün konusu değil."),
    ("Havuz ısıtmalı mı?", '"Isıtma" diye arattım, sonuç çıkmadı.'),
    ("Havuz ısıtmalı mı?", "Bu, broşürde verilmeyen ayrıntılara bağlı."),
    ("Havuz ısıtmalı mı?", "isitma ile ilgili bisi yok ki"),
    ("Havuz ısıtmalı mı?", "Kesin konuşamam."),
    ("Kâğıt boyutu nasıl değiştirilir?", "Yardım metni yazıcının kurulumunu anlatıyor, kâğıt boyutunu değil."),
    ("Kâğıt boyutu nasıl değiştirilir?", "İlgili sayfa bende eksik, adım veremem."),
    ("Kâğıt boyutu nasıl değiştirilir?", "Gönderilenlerin hiçbiri bunu açıklamıyor."),
    ("Kâğıt boyutu nasıl değiştirilir?", "Galiba kılavuzda yok."),
    ("How tall is the tower?", "That one has me stumped; the passage skips it."),
    ("How tall is the tower?", "The article stops short of giving a height."),
    ("How tall is the tower?", "I went through the article twice and came up empty."),
    ("How tall is the tower?", "Nope, no height in there."),
    ("How tall is the tower?", "Wish I could tell you, but the article is about the architect, not the dimensions."),
    ("How tall is the tower?", "For the height you'll have to consult another source."),
    ("How tall is the tower?", "The material in front of me is limited to the tower's history."),
    ("How tall is the tower?", "The height remains a mystery as far as this text goes."),
    ("How tall is the tower?", "Any figure I gave would be invented."),
    ("How tall is the tower?", "Can't answer that one from what's here."),
    ("How tall is the tower?", "The passage isn't much use here: it is all about the architect."),
    ("How tall is the tower?", "It's anyone's guess; no measurements were supplied."),
    ("How tall is the tower?", "Not covered."),
    ("How tall is the tower?", "No data."),
    ("How tall is the tower?", "The context is about the architect and has no bearing on the height."),
    ("How tall is the tower?", "This passage won't help you with the height."),
    ("How tall is the tower?", "i have zero info on this"),
    ("How tall is the tower?", "The writer tells us who built it but omits the height."),
    ("How tall is the tower?", "No measurement of the tower appears in the passage."),
    ("How tall is the tower?", "Your guess is as good as mine."),
    ("How tall is the tower?", "That falls outside what I've been given."),
    ("How tall is the tower?", "I must leave this question unanswered."),
    ("How tall is the tower?", "There is a gap in the text here: the height is left blank."),
    ("How tall is the tower?", "Please provide a text that contains the height; this one does not."),
    ("How tall is the tower?", "The passage is limited to the year of completion."),
    ("Is the pool heated?", "The leaflet lists a pool, full stop. Heated or not, it leaves us in the dark."),
    ("Is the pool heated?", "I can neither confirm nor deny that from the leaflet."),
    ("Is the pool heated?", "The leaflet gives me no basis for a yes or a no."),
    ("Is the pool heated?", "The leaflet says there is a pool. Whether it is heated, it does not say."),
    ("Is the pool heated?", 'I searched for "heated" and nothing came up.'),
    ("Is the pool heated?", "I'd rather not say, since nothing I have backs it up."),
    ("Is the pool heated?", "It depends on details the leaflet doesn't provide."),
    ("How do I change the paper size?", "Instructions for that are not part of this help page."),
    ("How do I change the paper size?", "I'm missing the relevant page, so no steps from me, sorry."),
    ("How do I change the paper size?", "None of what I was sent explains this."),
    ("How do I change the paper size?", "No guidance here on that."),
    ("How do I change the paper size?", "It seems the manual doesn't address this."),
)

ANSWERS = (
    ("Açıklama alanı zorunlu mu?", "Hayır, açıklama alanı zorunlu değildir, boş bırakılabilir."),
    ("Kullanıcı kotası nedir?", "Kota yok, sınırsız kullanıcı tanımlanabilir."),
    ("Günlük harcama limiti nedir?", "50.000 TL. Bunun üzerindeki tutarlar için ayrı bir limit belirtilmemiş."),
    ("Hangi alanlar boş bırakılabilir?", "Tedarikçi notu boş bırakılabilir, diğerleri bırakılamaz."),
    ("SEV-201 nedir?", "SEV-201: Sevk adresi bulunamadı."),
    ("How long is the return period?", "Seven days; no extension is given."),
    ("What is the user limit?", "There is no limit."),
    ("What is the spending limit?", "50,000 TL. No separate limit is stated for exports."),
    ("Does the policy mention pets?", "No, pets are not mentioned in the policy."),
    ("How long is the warranty?", "Two years, but it does not cover wear."),
    ("Stok boşken hangi mesaj çıkar?", '"Bu ürün için bilgi bulunamadı" mesajı görünür.'),
    ("Açılmış ürün iade edilir mi?", "Maalesef açılmış ürünlerin iadesi mümkün değildir."),
    ("Belgenin tarihi yoksa ne olur?", "Belgede tarih yoksa kayıt tarihi kullanılır."),
    ("Pasaport gerekli mi?", "Yurt içinde pasaport gerekmez."),
    ("1450'de hükümdar kimdi?", "Kesin olarak bilinmemekle birlikte kaynakların çoğu Mehmed'i anar."),
    ("Pil ne kadar dayanır?", "Yaklaşık 10 saat. Kılavuz video oynatma için süre vermiyor."),
    ("Tedarikçi bulunamazsa ne olur?", "Uyarı gösterilir ve sipariş oluşturulmaz."),
    ("İçe aktarma neden başarısız oluyor?", "Dosya başlık satırı içermediği için başarısız oluyor."),
    ("Hangi belgeler arşive dahil değildir?", "Taslaklar ve iptal edilen belgeler arşive dahil değildir."),
    (
        "Faturamı bulamazsam ne yapmalıyım?",
        "Arşivi açıp müşteriye göre arayın; bir yıldan eski faturalar oraya taşınır.",
    ),
    ("Rapor iskontoyu gösteriyor mu?", "Rapor iskontoyu göstermez."),
    ("Eksik veri nasıl işlenir?", "Eksik değerlerin yerine sıfır yazılır ve günlükte işaretlenir."),
    ("Sanık bulundu mu?", "Sanık hiçbir zaman bulunamadı."),
    ("Bildirimleri nasıl kapatırım?", "Ayarlar > Bildirimler'den kapatın. Yeniden başlatmanız gerekmez."),
    ("Kral vergi hakkında ne dedi?", "Hiçbir şey söylemedi ve salondan çıktı."),
    ("Son tarih nedir?", "Son tarih sabit değildir, her bölüm kendi tarihini belirler."),
    ("Dosya boyutunda sınır var mı?", "Dosya boyutunda sınır yoktur."),
    ("Hafta sonu destek var mı?", "Hafta sonu destek verilmiyor."),
    ("Onaydan sonra sipariş değişir mi?", "Onaydan sonra siparişi değiştirmek mümkün değildir."),
    ("Özet ne zaman yazdırılmaz?", "Siparişin satırı yoksa özet yazdırılmaz."),
    ("Müze ücretsiz mi?", 'Açıkça söylenmese de ziyaretin "herkes için bedelsiz" olduğu yazıyor, yani evet.'),
    ("Önsözü kim yazdı?", "Önsözü Ayla Demir yazdı; diğer bölümleri kimin düzenlediği metinde geçmiyor."),
    ("Lot bulunamazsa ne olur?", "Mal kabul STK-104 koduyla reddedilir."),
    ("2020 sonuçları var mı?", "Anket yapılmadığı için 2020 sonuçları yok."),
    ("Fazla mesai ödenir mi?", "Fazla mesai ödenmiyor, izin olarak kullandırılıyor."),
    ("Kayıt neden reddedildi?", "Lot bilgisi girilmemiş."),
    ("Makara neden sevk edilemiyor?", "Kalite onayı bulunmuyor."),
    ("Fişte hangi alan boş kalabilir?", "Açıklama alanı."),
    ("What message appears when stock is empty?", 'The message "No information available for this item" is displayed.'),
    ("Can I get a refund after opening it?", "Unfortunately, opened items cannot be refunded."),
    ("What if the document has no date?", "If the document has no date, the system uses the posting date."),
    ("Is a passport needed?", "No passport is needed for domestic travel."),
    ("Who was the ruler in 1450?", "It is not known for certain, but most sources name Mehmed."),
    ("How long does the battery last?", "About 10 hours. The manual doesn't give figures for video playback."),
    ("What happens if no supplier is found?", "A warning is shown and the order is not created."),
    ("Why does the import fail?", "The import fails because the file does not contain a header row."),
    ("Which documents are not included in the archive?", "Drafts and cancelled documents are not included."),
    ("Does the policy cover pets?", "Pets are not listed among the insured, so they are not covered."),
    ("Do I need to mention my allergy?", "You don't have to mention it."),
    ("Does the report show discounts?", "The report does not show discounts."),
    ("How is missing data handled?", "Missing values are replaced with zero and flagged in the log."),
    ("Was the suspect identified?", "The suspect was never identified."),
    ("What is stored on the label?", "The label holds the lot number and the date; the price is not printed."),
    ("How many moons does Venus have?", "Venus has no moons."),
    ("Does the app share my data?", "We do not share your information with third parties."),
    ("What is the deadline?", "The deadline isn't fixed: each department sets its own."),
    ("Is there a limit on file size?", "There is no limit on file size."),
    ("Is help provided on weekends?", "Help is not provided on weekends."),
    ("Can it be undone?", "This cannot be undone."),
    ("What does status U mean?", "U means unknown: the item was scanned but not found in the master data."),
    ("Is there any information on the packaging about recycling?", "Yes, the triangle symbol with the number 5."),
    (
        "Is the museum free?",
        'The text does not say so outright, but it calls the visit "free of charge for everyone", so yes.',
    ),
    (
        "Who wrote the preface?",
        "Ayla Demir wrote the preface; the text does not mention who edited the other chapters.",
    ),
    ("What happens when a lot is not found?", "The receipt is rejected with STK-104."),
    ("Does the phone support eSIM?", "The phone doesn't support eSIM."),
    (
        "What is the reference number for?",
        "It identifies the case; without a reference number, staff can't find your file.",
    ),
    ("Kule kaç metre?", "Anten hariç 47 metredir."),
    ("Kule kaç metre?", "Kimse tam ölçmemiş, yine de yazıya göre 47 metre."),
    ("Havuz ısıtmalı mı?", "Isıtmalı değil."),
    ("Havuz ısıtmalı mı?", "Yalnızca mayıstan eylüle kadar; kışın ısıtma yok."),
    ("Kâğıt boyutu nasıl değiştirilir?", "Özellikler'i açıp bir boyut seçin. Ana menüde bu seçenek yoktur."),
    ("Kâğıt boyutu nasıl değiştirilir?", "Panelden değiştirilemez, sürücüyü kullanın."),
    ("Verimi kim görebilir?", "Sizden başka kimse göremez."),
    ("Anahtarımı nasıl bulurum?", "Kartın üzerinde değil, size attığımız postada."),
    ("Nedenini bilmiyorsam ne yazayım?", "Kutuyu boş bırakın."),
    ("Hatalar hangi sayfada?", "Kılavuzun son sayfasında."),
    ("Metin kış için ne diyor?", "Kışın hiçbir şeyin yetişmediğini söylüyor."),
    ("Eski biletler aranabilir mi?", "İki yıldan eski biletler aranamaz."),
    ("Başkasının notlarını görebilir miyim?", "Başka kullanıcıların notlarını göremezsiniz."),
    ("Parolayı kim biliyor?", "Kimse bilmiyor; üretilip şifreli saklanıyor."),
    ("Cevap kâğıdı toplanır mı?", "Cevap kâğıdı toplanmaz."),
    ("Metin alanında arama yapılır mı?", "Metin alanında arama yapılamaz."),
    ("Okunmayan mesajlara ne olur?", "30 gün sonra bildirim yapılmadan silinir."),
    ("Sebep bulundu mu?", "Sebep bulunamadı."),
    ("Ret mektubunda gerekçe yazar mı?", "Hayır, ret mektubunda gerekçe belirtilmez."),
    ("Kaynak kodu isteyebilir miyim?", "Kaynak kodu müşterilere açık değil."),
    ("Hikâye nerede geçiyor?", "Hikâye adı verilmeyen bir köyde geçiyor."),
    ("Bu ekranda neden liste yok?", "Filtreye uyan kayıt bulunmadığı için liste boş."),
    ("How tall is the tower?", "It is 47 metres tall, not counting the antenna."),
    ("How tall is the tower?", "Nobody measured it exactly, yet the article puts it at 47 metres."),
    ("Is the pool heated?", "It isn't heated."),
    ("Is the pool heated?", "Only from May to September; there is no heating in winter."),
    ("How do I change the paper size?", "Open Properties and pick a size. You won't find this in the main menu."),
    ("How do I change the paper size?", "You can't change it from the panel; use the driver instead."),
    ("Who can see my data?", "Nobody except you. No one at the company has access."),
    ("How do I find my key?", "It is not on the card; look in the mail we sent you."),
    ("What should I write if I know nothing about the cause?", "Leave the box empty."),
    ("Which page lists errors?", "The last page of the manual."),
    ("What does the text say about winter?", "It says that nothing grows in winter."),
    ("Can I look up old tickets?", "Old tickets can't be looked up after two years."),
    ("Can I see other users' notes?", "You can't see notes written by other users."),
    ("Who knows the password?", "No one knows it; it is generated and stored encrypted."),
    ("Does the guide cost anything?", "The guide costs nothing."),
    ("Is the answer sheet collected?", "The answer sheet is not collected."),
    ("Is the text field searchable?", "The text field isn't searchable."),
    ("What happens to unread messages?", "They are deleted after 30 days without notice."),
    ("Was a cause found?", "No cause was found."),
    ("Can I ask for the source code?", "The source code is not available to customers."),
)


@pytest.mark.parametrize(("question", "answer"), REFUSALS)
def test_an_answer_that_leaves_its_question_open_refuses(question: str, answer: str) -> None:
    assert refuses_in_other_words(answer, question)


@pytest.mark.parametrize(("question", "answer"), ANSWERS)
def test_a_no_that_answers_its_question_is_no_refusal(question: str, answer: str) -> None:
    assert not refuses_in_other_words(answer, question)


@pytest.mark.parametrize("answer", ["Üretim yeri belgede belirtilmemiş.", "The place is not stated in the leaflet."])
def test_letters_marks_and_quotation_do_not_change_a_refusal(answer: str) -> None:
    plain = answer.replace("Ü", "U").replace("ş", "s")
    for written in (answer, plain, plain.upper(), f"**{answer}**", f'"{answer}"', f"Answer: {answer}"):
        assert refuses_in_other_words(written, "Where is it made? Nerede üretiliyor?"), written


def test_the_same_words_answer_one_question_and_refuse_another() -> None:
    assert refuses_in_other_words("Fiyat bilgisi yok.", "Lisans yenileme ücreti nedir?")
    assert not refuses_in_other_words("Fiyat bilgisi yok.", "Sipariş neden beklemede?")
    assert refuses_in_other_words("The report does not show discounts.", "How high are the discounts?")
    assert not refuses_in_other_words("The report does not show discounts.", "Does the report show discounts?")


def test_what_follows_a_refusal_undoes_it_only_where_it_answers() -> None:
    question = "How long does delivery take?"
    assert refuses_in_other_words("The text does not say. However, it mentions that returns are free.", question)
    assert refuses_in_other_words("The text does not say, but you can ask the shop.", question)
    assert not refuses_in_other_words("The text does not say, but three days is usual.", question)
    assert not refuses_in_other_words("The text does not say it outright, so I take it to be three days.", question)


def test_a_message_in_quotation_marks_is_not_the_speaker_speaking() -> None:
    assert not refuses_in_other_words("It shows 'No information available' and stops.", "What does it show?")


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("Kaç gün sürer?", "what"),
        ("Garanti bunu kapsar mı?", "whether"),
        ("Does it cover this?", "whether"),
        ("Kayıt neden reddedildi?", "what is not"),
        ("LAB-201 ne anlama gelir?", "meaning"),
        ("?", "unknown"),
    ],
)
def test_a_question_tells_what_kind_of_answer_it_wants(question: str, kind: str) -> None:
    assert asked(question).kind == kind


def test_clauses_part_at_marks_and_at_words_that_turn_round() -> None:
    found = [each.text for each in clauses("Age (yes), height no. However, it can't be told; 'none' is shown")]
    assert found == ["age", "yes", "height no", "however it can not be told", "quoted is shown"]
