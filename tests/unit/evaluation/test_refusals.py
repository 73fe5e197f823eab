"""Refusals in other words, and what only looks like one."""

import pytest

from groundtune.config import ENGLISH_PROMPT, TURKISH_PROMPT
from groundtune.evaluation import Question
from groundtune.evaluation.measures import Observed
from groundtune.evaluation.measures.refusals import refuses_in_other_words

REFUSALS = (
    "Belgelerde bu konuda bilgi bulunmuyor.",
    "Bu konuda bilgim bulunmamaktadır.",
    "Üzgünüm, bu konuda bilgi bulamadım.",
    "Maalesef bu soruyu yanıtlayamıyorum.",
    "Verilen bağlamda bu sorunun cevabı yok.",
    "Bağlamda bu bilgi yer almıyor.",
    "Verilen metinde bu konuya ilişkin bir bilgi yer almamaktadır.",
    "Bu sorunun yanıtı verilen belgelerde bulunmuyor.",
    "Bilmiyorum.",
    "Bu konu hakkında bilgi sahibi değilim.",
    "Bu konuda yeterli bilgiye sahip değilim.",
    "Sağlanan bağlamda iade süresi hakkında bilgi verilmemiştir.",
    "Belgelerde garanti süresiyle ilgili bir bilgi yok.",
    "Üzgünüm, ancak bu soruya cevap veremiyorum.",
    "Özür dilerim, size bu konuda yardımcı olamıyorum.",
    "Bağlamda belirtilmemiş.",
    "Bu bilgi dokümanlarda yer almıyor.",
    "Elimdeki belgelerde bu soruya dair bir açıklama bulunmamaktadır.",
    "Verilen bilgiler arasında bu konuda bir cevap yok.",
    "Bu soruya verilen bağlamdan yanıt veremem.",
    "Kaynaklarda bu konuda herhangi bir bilgiye rastlamadım.",
    "Bu konuda herhangi bir bilgi verilmemiş.",
    "Paylaşılan metinde fiyatla ilgili bilgi geçmiyor.",
    "Üzgünüm. Bu konuda bilgim yok. Başka bir konuda yardımcı olabilirim.",
    "I do not have information about that.",
    "I don't know.",
    "I'm sorry, but I don't have any information about the warranty period.",
    "The context does not mention the return period.",
    "The provided documentation does not specify this.",
    "There is no information about this in the provided context.",
    "Sorry, I cannot answer this question based on the given passages.",
    "Based on the provided context, I cannot determine the price.",
    "This is not mentioned in the context.",
    "The answer is not found in the provided documents.",
    "I have no knowledge of that topic.",
    "Unfortunately, the passages do not contain the answer.",
    "I am not able to find this in the documents.",
    "No information is available about this.",
    "The information provided does not include the opening hours.",
    "I couldn't find anything about this.",
    "There is not enough information to answer this question.",
    "The context provided does not contain information regarding the supplier's bank.",
    "The question cannot be answered from the context.",
    "According to the provided context, there is no mention of a refund.",
    "Based on the context, it is not clear what the limit is.",
    "I'm unable to help with that.",
    "I'm afraid I can't say.",
    "This information is not provided in the documentation.",
    "The documents provided don't say how long the warranty lasts. Please contact support.",
    "Unanswerable.",
    "Bu sorunun cevabını bilmiyorum.",
    "Bu bilgi verilen bağlamda belirtilmemiştir.",
    "Verilen bağlamda bu konuya değinilmiyor.",
    "Bu soruya yanıt verecek bilgi bağlamda yok.",
    "Metinde makara boyutuna ilişkin herhangi bir bilgi bulunmuyor.",
    "Bu konuda elimde bilgi yok.",
    "Sorunuzun cevabını belgelerde bulamadım.",
    "Üzgünüm, bu bilgiye sahip değilim.",
    "Maalesef bağlamda bu soruyla ilgili bilgi verilmemiş.",
    "Bu konuda bir şey söyleyemem.",
    "İlgili dokümanlarda bu konu yer almıyor.",
    "Bağlam bu soruyu yanıtlamak için yeterli bilgi içermiyor.",
    "Verilen bilgilere göre bu soruyu yanıtlamak mümkün değil.",
    "Bu bilgi mevcut değil.",
    "Soruda geçen özellik hakkında bilgim bulunmuyor.",
    "Bu konuda yardımcı olamam.",
    "Bağlamda bu alanın açıklaması yok.",
    "I can't find that in the documentation.",
    "The documentation doesn't cover this.",
    "I don't have enough information to answer.",
    "Sorry, that information isn't in the context.",
    "The text does not say.",
    "There's no mention of this in the passages.",
    "I have no data on that.",
    "It is not specified in the given context.",
    "The context doesn't provide enough information to answer this question.",
    "None of the passages mention the warranty.",
    "That is not covered by the provided documentation.",
    "The answer is not in the context.",
    "I am unable to answer this question.",
    "No relevant information was found in the documents.",
    "Not mentioned in the context.",
    "Bu sorunun cevabına verilen belgelerden ulaşılamıyor.",
    "Bununla ilgili bir bilgi bulunmuyor.",
    "Sağlanan metinler bu soruyu yanıtlamıyor.",
    "Üzgünüm, verilen bağlamda KR-09 deposu geçmiyor.",
    "Bu konu hakkında bir bilgi paylaşılmamış.",
    "Verilen bilgiler bu soruyu cevaplamak için yeterli değil.",
    "Bağlamda bununla ilgili bilgi yer almadığı için yanıt veremiyorum.",
    "Böyle bir bilgi bağlamda yok.",
    "Bu soru için belgelerde bir yanıt bulunamadı.",
    "Söz konusu alan hakkında belgelerde bilgi verilmiyor.",
    "Elimdeki kaynaklar bu konuda bilgi vermiyor.",
    "I don't have access to that information.",
    "The passages provided do not discuss pricing.",
    "Nothing in the documentation mentions a retention period.",
    "I have no information on this topic.",
    "The provided text does not include the phone number.",
    "It isn't stated in the context what the limit is.",
    "I cannot find any information about this in the provided documents.",
    "We don't have information about that.",
    "This question is outside the scope of the documentation.",
    "The context is silent on this.",
    "I was unable to find an answer in the passages.",
    "Bu soruya ilişkin bilgi bulunmamaktadır.",
    "Verdiğiniz bağlamda makara ağırlığı belirtilmemiş.",
    "Ne yazık ki bu konuda bilgi veremiyorum.",
    "Belgelerde bunun cevabı yok.",
    "Dokümantasyonda bu alanla ilgili bir açıklama bulamadım.",
    "Bu sorunun cevabı bağlamda geçmiyor.",
    "Elimde bu soruyu yanıtlayacak bilgi yok.",
    "Bağlamda yeterli bilgi yok.",
    "Bilgi bulunamadı.",
    "I'm not sure.",
    "The context has no information about refunds.",
    "I could not find the answer in the provided passages.",
    "There is nothing about this in the documentation.",
    "Sorry, I don't know the answer to that question.",
    "The given documents do not describe how to reset it.",
    "It's not possible to answer from the given context.",
    "Based on the passages, the answer is unknown.",
    "I have not found any information on this.",
    "The provided information is insufficient to answer.",
)

ANSWERS = (
    "Hayır, lot numarası olmadan kayıt yapılamaz.",
    "Faturada fiyat bilgisi bulunmaz.",
    "İrsaliye belgesinde fiyat bilgisi yoktur.",
    "Belgede lot bilgisi yoksa kayıt reddedilir.",
    "Bu ekranda kayıt bulunmuyorsa liste boş görünür.",
    "Makarada etiket bulunmuyor.",
    "Bu alan zorunlu değildir.",
    "Raporda açıklama alanı yer almaz.",
    "Sistemde bu parametre varsayılan olarak tanımlı değildir.",
    "Kullanıcının yetkisi yoktur.",
    "KR-04 deposundaki makara sevk edilemez.",
    "Tedarikçi bilgisi yok.",
    "Bu konuda karar KALITE_MUDURU rolündedir.",
    "Müşteri bilgisi bulunamadı hatası STK-104 kodludur.",
    "Cihaz bağlantısı yok uyarısı görünür.",
    "No. The class of an item cannot be changed by hand.",
    "There is no limit.",
    "There is no approval step in the flow.",
    "The document does not contain prices.",
    "No data is shared with third parties.",
    "We do not collect personal information.",
    "The delivery note does not include VAT.",
    "It is not possible to delete a posted movement.",
    "The user cannot answer the approval request after 24 hours.",
    "There is no information line on the label.",
    "The text field does not allow special characters.",
    "This field is not required.",
    "We cannot guarantee the security of your information.",
    "The lot is not found in the stock list.",
    "No information is stored on your device.",
    "I do not know, but usually it is 30 days.",
    "The context menu does not include Delete.",
    "Bilmiyorum, ancak genellikle 30 gündür.",
    "The information you provide does not include your bank details.",
    "Belgede fiyat bilgisi yok.",
    "İlgili belgede bu alana ait bilgi bulunmuyor ve kayıt reddedilir.",
    "I don't understand why this happens.",
    "Belgeler fiyat bilgisi içermiyor.",
    "Bu konuda değişiklik yapmak mümkün değildir.",
    "The document does not contain a price.",
    "The page does not reload by itself.",
    "No invoice is created in the document.",
    "Bu bağlamda ayrı bir kayıt bulunmamaktadır.",
    "We do not have access to your card number.",
    "The above data does not include weekends.",
)


@pytest.mark.parametrize("text", REFUSALS)
def test_a_refusal_is_known_in_other_words(text: str) -> None:
    assert refuses_in_other_words(text)
    assert refuses_in_other_words(f"**{text}**")


@pytest.mark.parametrize("text", ANSWERS)
def test_an_answer_that_says_no_is_no_refusal(text: str) -> None:
    assert not refuses_in_other_words(text)


@pytest.mark.parametrize("text", ["", "  ", "...", "?"])
def test_nothing_is_no_refusal(text: str) -> None:
    assert not refuses_in_other_words(text)


def test_courtesy_after_a_refusal_does_not_undo_it_and_an_answer_does() -> None:
    assert refuses_in_other_words("I do not know. However, you can contact support.")
    assert not refuses_in_other_words("I do not know. However, it is usually 30 days.")
    assert refuses_in_other_words("Bu konuda bilgi bulamadım. Ancak başka bir konuda yardımcı olabilirim.")
    assert not refuses_in_other_words("Bu konuda bilgi bulamadım. Ancak süre 30 gündür.")


def test_every_way_of_refusing_counts_as_refusing() -> None:
    prompts = {"tr": TURKISH_PROMPT, "en": ENGLISH_PROMPT}
    for text in (TURKISH_PROMPT.refusal, ENGLISH_PROMPT.refusal, REFUSALS[0], REFUSALS[-1]):
        assert Observed(Question("q", "?", ("r",), "tr"), text, (), True, (), prompts).refused
