"""What an English clause says of there being no answer: the vocabulary, and how its parts go together.

All words are folded (:func:`.reading.fold`): "doesn't" reads "does not", "cannot" reads "can not".
"""

from __future__ import annotations

import re

from groundtune.evaluation.measures.refusals.denial import Denial, any_of, surest

_ANY = r"(?: \w+)"
_NOT = r"(?:not|never|nowhere|hardly)"
_DOES_NOT = r"(?:do|does|did|has|have|had|would|could|will|can|seem\w*|appear\w*) not(?: (?:seem|appear) to)?"
_SOFTLY = (
    r"(?: (?:even|actually|really|currently|specifically|explicitly|directly|clearly|itself|yet|appear to|seem to|to|also|ever|in fact|quite|exactly|"
    r"anywhere|fully|further|have|been|be|being|is|are|was|were|precisely|otherwise|necessarily|give any|get into|make|just|at all|any|the|a))*"
)

_TELL = (
    r"(?:mention|state|specif(?:y|ie)|sa(?:y|i)|discuss|address|describe|explain|indicate|clarif(?:y|ie)|elaborate|detail|disclose|reveal|tell|told|name|refer|"
    r"reference|talk|comment|outline|speak|spell|note|document|touch|go into|goe?s into|went into|gone into|get into|answer|list|give|provide|list out|confirm|define|identify|"
    r"cite|quote|report|suggest|allude|deal with|treat|record|enumerate|call out|note down|bring up|set out|lay out|supply)"
)
_TELLS = rf"{_TELL}(?:s|es|d|ed|n|ned|ing|t)?"
_TOLD = (
    r"(?:mentioned|stated|specified|said|discussed|addressed|described|explained|indicated|clarified|elaborated|detailed|disclosed|revealed|told|named|"
    r"referred to|referenced|talked about|commented|outlined|spelled out|spelt out|noted|documented|touched (?:on|upon)|answered|cited|"
    r"brought up|set out|laid out|enumerated|gone into|alluded to|dealt with|spoken of)"
)
"""What only is said of what texts do."""
_HELD = r"(?:given|provided|listed|included|covered|supplied|found|present|available|shown|contained|part of|in|among|there|located|offered|anywhere|visible|featured|within)"
"""What is said of other things too."""
_HOLD = r"(?:contain|include|provide|have|give|list|cover|offer|show|supply|feature|hold|present|carry|give away|come with|extend to|reach|reflect|capture|deal with|touch)(?:s|es)?"

_TEXT = (
    r"(?:contexts?(?! menu)|passages?|excerpts?|extracts?|texts?|documentation|docs|paragraphs?|articles?|guides?|handbooks?|manuals?|biography|leaflet|brochure|booklet|"
    r"spec sheets?|datasheets?|data sheet|sections?|snippets?|source material|source text|sources|references|knowledge base|faqs?|wording|write ?up|wiki|readme|tutorial|"
    r"reading|materials|instructions|pages|documents|encyclopedia|chapters?|help (?:page|article|center|centre|file)s?|user guide|blog|essay|story|literature|search results|"
    r"content|notes|chunks?|prompt)"
)
_PAPER = (
    r"(?:recipe|policy|document|page|warranty|contract|form|report|article|list|table|file|website|site|terms|agreement|schedule|certificate|listing|description|"
    r"label|notice|announcement|menu|regulations?|rules?|statute|act|letter|email|news|post|spec|specs|specifications?|sheet|source|bulletin|chart|"
    r"timetable|map|itinerary|catalogue?|profile|record|review|study|paper|book|author|writer|entry|legislation|law|portfolio|summary|ad|flyer)"
)
_GIVEN = (
    r"(?:(?:what|which|that) (?:you|i|was|were|i was|i am|i have|i had|is)(?: have| ve)? (?:gave|given|sent|shared|provided|been given|have|see|pasted)(?: me| us)?|"
    r"(?:provided|given|supplied|available|above|attached|retrieved|shared|present|current) (?:\w+ )?(?:"
    + _TEXT
    + r"|"
    + _PAPER
    + r"|information|info)|"
    r"(?:"
    + _TEXT
    + r"|"
    + _PAPER
    + r"|data|details|information|info|materials?)s? (?:provided|given|supplied|available|above|attached|at hand|shared|you (?:gave|shared|sent|provided|supplied|pasted|have)|i have|i was|i can|i am|we have))"
)
_SOURCE = rf"(?:{_GIVEN}|{_TEXT}|{_PAPER})"
_PURE = rf"(?:{_GIVEN}|{_TEXT})"
_SPEAK = (
    r"mention|state|specify|say|tell (?:us |me |you )?(?:whether|if|how|what|when|who|where|which)|explain|describe|clarify|indicate|address|discuss|elaborate|spell out|spell it out|"
    r"go into|get into|touch on|touch upon|refer to|talk about|speak to|speak of|make clear|make it clear|detail"
)
_INFO = (
    r"(?:information|info|details?|data|answers?|mention|mentions|references?|word|indication|guidance|description|explanation|documentation|specifics|results?|"
    r"statement|discussion|hint|clue|coverage|instructions?|context|definition|explicit|clarity|clear|relevant|such)"
)
_ABOUT = r"(?:about|on|regarding|concerning|of|for|as to|to|that|related to|relating to|whether|how|in regard|with regard|with respect|pertaining|surrounding|specifying|stating|describing|in|from|within|around|here|available|provided|given|there|available|found|at all|explaining|indicating|suggesting)"
_KNOW = (
    r"(?:know|knew|tell|say|answer|determine|confirm|find|found|see|seen|locate|help|assist|infer|verify|give|provide|conclude|comment|identify|ascertain|advise|establish|"
    r"respond|offer|recall|spot|derive|deduce|work out|figure out|make out|address|specify|state|guess|speculate|elaborate|share|recommend|estimate|calculate|explain|fulfill?|"
    r"comply|perform|access|speak|be (?:sure|certain|definitive|definite|of help|helpful)|complete|extract|pinpoint|supply|assess|judge|vouch|point to|describe|discuss|clarify|come across|"
    r"come up with|gather|pull|rule|decide|understand what|provide|support|process|browse|look|retrieve|make|have|possess)"
)
_SURE = r"(?:sure|certain|aware|familiar|confident|able|clear|equipped|in a position|allowed|permitted|positive|informed|given|provided|shown|told|comfortable|seeing|finding|knowledgeable)"
_I = r"(?:i|we)"

_RAW_CERTAIN = (
    # the one who answers
    rf"\bi (?:\w+ )?(?:do|does|did|can|could|would|will|have|had|may|might|was|am|should|must)? ?(?:\w+ )?not(?: \w+){{0,2}}? (?:{_KNOW}|{_SURE})\b",
    rf"\b(?:we|{_PAPER}) (?:do|does|did) not (?:currently |yet )?have (?:\w+ ){{0,3}}(?:information|info|an answer|details|data|documentation) (?:about|on|regarding|for|to)\b",
    r"\bi(?: am| m| was| remain| have been)?(?: \w+)? (?:unable|unsure|uncertain|unaware|not able|not sure|ignorant|clueless|at a loss|limited to|unfamiliar)\b",
    rf"\b(?:i|i ve)(?: have| ve| found| find| see| saw| could find| can find| can see| do have| got| have found| am given| was given| can give)? (?:no|nothing|none|zero|little)(?: \w+){{0,3}}? ?(?:{_INFO}|idea|clue|knowledge|way|access|evidence|{_ABOUT})\b",
    r"\band (?:i )?(?:found|find|see|saw|could find|can find) (?:no|nothing|none)\b",
    r"\bi lack\b|\bi am lacking\b|\bi would need (?:more|additional|further|the|access|to see)\b|\bi (?:need|require) (?:more|additional|further) (?:\w+ )?(?:info|context|detail)\w*",
    r"^(?:sorry |unfortunately |honestly |well |hmm |um |so |and |but |yeah |ok |sadly )*(?:do not|dont|did not|can not|could not|would not) "
    r"(?:really |actually |quite |honestly |seem to )?(?:know|tell|say|find|see|answer|confirm|determine|help|have (?:that|this|any|the|enough)|be sure|locate|give)\b",
    r"^(?:sorry |unfortunately |honestly |well |hmm |um |so |and |but |still )*(?:no (?:idea|clue|info|information|mention|word|details?|data|answer|reference)|not sure|dunno|idk|beats me|not certain|not clear|unclear|unknown|"
    r"unanswerable|not answerable|can not say|hard to (?:say|tell|know)|impossible to (?:say|tell|know)|no way to (?:tell|know|say)|n a|insufficient (?:information|context|data|details?)|"
    r"not enough (?:information|context|data|details?|info))(?! of the)(?: (?:about|on|regarding|for|of|in|from|available|provided|given|whether|how|what|to|found|if|here|there|concerning|that|at all|sorry|there|yet|anywhere|specified|i|either|(?:is|was|has been) (?:available|provided|given|found|included|present|there|mentioned|stated|specified))\b.*)?$",
    rf"^i (?:\w+ )*(?:and|but) (?:i )?(?:can|could|do|did|was|am|have) not(?: \w+){{0,2}}? (?:{_KNOW}|{_SURE})\b",
    r"\b(?:your|any\w*|anyone's|anybody's) guess is\b|\b(?:anyone|anybody|anyone's|anybody's) guess\b|\b(?:drew|drawing|draw) a blank\b|\b(?:came|come|coming) up (?:empty|blank|short|dry)\b|\bstumped\b|\bat a loss\b",
    r"\b(?:making|make) (?:it|this|that|something|things) up\b|\bwould be (?:invented|made up|a guess|guesswork|guessing|speculation|speculative)\b|\b(?:leaves?|left) (?:me|us|you|it) (?:in the dark|guessing|to the imagination|unanswered)\b",
    r"\b(?:look|check|consult|search|see|ask|refer|turn|seek|find (?:it|that|this))(?: \w+){0,3} (?:elsewhere|somewhere else|(?:another|a different|other|some other|different) (?:source|document|text|place|reference|material)s?)\b",
    r"\bneither confirm nor\b|\bno way (?:for me )?to (?:know|tell|say)\b|\bi wish i (?:could|knew)\b|^wish i (?:could|knew)\b|\b(?:must|have to) (?:leave (?:this|that|it|the question|you)|pass on|decline)\b|\bi (?:will|would) (?:have to )?pass\b",
    r"\b(?:won't|will not|would not|can not|do not) (?:find|see|learn) (?:\w+ ){0,4}(?:in|from|anywhere in|here|there)\b(?=.*\b(?:text|passage|article|document|page|manual|guide|leaflet|context|excerpt|here|there))",
    rf"\b(?:goes|go|falls|lies|is|well) (?:beyond|outside|past)(?: \w+){{0,2}} {_SOURCE}\b|\boutside (?:of )?what i\b|\bout of scope\b",
    rf"\b{_SOURCE}(?: \w+){{0,3}} (?:is|are|was)(?: \w+)? (?:about|limited|confined|restricted|concerned|devoted|a different|another)\b(?=.*\b(?:different|another|other|only|limited|confined|restricted|solely|entirely|not|all|instead)\b)",
    rf"\b{_SOURCE}(?: \w+){{0,3}} (?:concerns?|deals? with|focus\w* on|covers?|addresses) (?:a |an |only )?(?:different|another|other|unrelated) (?:\w+ )?(?:subject|topic|matter|thing)s?\b",
    rf"\b(?:{_SOURCE}|author|writer)(?: \w+){{0,3}} (?:ignores?|skips?|omits?|never gets? (?:around )?to|stops? (?:short|before)|ends? before|keeps? (?:quiet|silent|mum)|chose not to|chooses not to|is no help|is not much (?:use|help)|is not (?:helpful|useful)|will not help)\b",
    r"\bi (?:do not|would not) (?:think|believe) (?:\w+ ){1,6}(?:covers?|says?|mentions?|addresses|states?|explains?|describes?|specifies|tells?|contains?)\b|\b(?:looks like|seems?(?: like)?|appears)(?: that)? (?:\w+ ){1,3}not in (?:the|this)\b",
    r"\bnot (?:the )?(?:information|something|anything|data|details?) i (?:have|hold|know|can)\b|\bi am missing\b|\bno (?:steps|answer|idea) from me\b|\bnot that i can (?:see|tell|find)\b",
    r"\bnot in (?:there|here|it)$|\bno (?:\w+ )?(?:in there|in here)$|\bthis one does not$",
    r"\bnot that i am aware\b|\bnot that i know\b|\bthat is a blank\b|\bkeeps? (?:it|that|this) to itself\b|\bto itself$",
    r"\bunknown to me\b|\b(?:rather not|prefer not to|not want to|hesitant to|reluctant to|not going to|would have to|can only|could only|would be|be pure|mere|just) (?:guess|assume|speculat|say for)\w*",
    r"\b(?:annex|appendix|attachment|schedule|exhibit|enclosure|addendum|supplement|figure|table)(?: \w+)?(?: \w+)? (?:is|was|were|are|has|have|does|seems?) (?:\w+ )?(?:not|missing|absent)\b",
    rf"\b(?:can|could) not be (?:\w+ )?(?:determined|answered|inferred|confirmed|found|derived|ascertained|established|deduced|concluded|known|gleaned|seen)(?: \w+)? (?:from|using|with|by|based|in|solely)(?: \w+){{0,4}}? {_SOURCE}\b",
    r"^(?:answer )?(?:unknown|unclear|unanswerable|undetermined|unspecified|unstated|idk|dunno|no idea|no clue)$",
    r"\bi (?:am |have |had |do |did |can |could |will |was |may |might |must |should |would |really |honestly |simply |just |still |truly |currently |genuinely |also |unfortunately |sadly ){0,3}not\b"
    r"(?! (?:recommend|advise|suggest|do that|use|worry|understand)\b)(?<!would not)",
    r"\bi (?:\w+ ){0,3}?(?:nothing|none|nowhere|zero|neither)\b",
    r"\b(?:we|readers?|one|you|us) (?:are |is |do |does |can |could |have |were )(?:\w+ )?(?:not|never)(?: \w+)? (?:told|know|informed|given|learn|tell|say|find|found|told)\b(?! what to)",
    r"\b(?:not|never) told\b|\bwho knows\b|\bsearch me\b|\b(?:eludes|escapes) me\b|\bi am (?:\w+ )?in the dark\b|\bnothing to (?:go on|work with|go by|base)\b|\bpay grade\b|\bno luck\b|\bno dice\b|"
    r"\bfoggiest\b|\bhave (?:not )?(?:got )?a clue\b|\b(?:refrain|abstain|hesitate|hold off|decline to|declining to)\b|\bnot (?:a|one|a single|one single) (?:word|mention|line|hint|trace|sentence|reference|syllable)\b|"
    r"\bno (?:trace|sign|hint|word) of\b.*\b(?:text|passage|article|page|document|here|manual|guide|context|material)\w*|\b(?:i am|i was) (?:\w+ )?(?:without|privy to no|given no)\b",
    rf"\b{_PURE}(?: \w+){{0,6}} (?:is|are) (?:limited|confined|restricted) to\b|\bmaterial (?:\w+ ){{0,4}}(?:is|are) (?:limited|confined|restricted) to\b",
    r"\b(?:described|covered|explained|documented|found|given|listed|mentioned|specified|stated|set out|detailed)(?: \w+){0,2} elsewhere\b",
    r"\bi would (?:need|have to (?:see|have|know|guess|check)|want|require|like) |\ball (?:that )?i (?:have|was given|can see|know|see|got)\b",
    # the question
    r"\b(?:this|that|it|answer|question|answers|which|exact \w+|request|query|information)(?: \w+)?(?: \w+)? (?:can|could|is|are)(?: \w+)? ?not(?: be| able to be| possible to be)?(?: \w+)? (?:answered|determined|inferred|confirmed|given|found|derived|ascertained|established|answerable|verified|known|clear|concluded|provided|deduced|addressed)\b",
    rf"\b(?:not|nt|im)(?: \w+)? ?possible to (?:\w+ )?{_KNOW}\b|\bimpossible (?:for me )?to (?:\w+ )?{_KNOW}\b|\b(?:no way|not enough|hard|difficult|insufficient|not sufficient)(?: \w+){{0,3}} to (?:\w+ )?(?:know|tell|say|answer|determine|confirm|provide|give|draw|conclude|make|respond)\b",
    rf"\b(?:unclear|not (?:\w+ )?(?:clear|evident|apparent|certain)|unknown|ambiguous|inconclusive)(?: \w+)? (?:from|in|based on|according to|given)(?: \w+){{0,3}}? {_SOURCE}\b",
    r"\b(?:the|this|your|that) (?:answer|question)(?: to \w+)? (?:is|remains) (?:\w+ )?(?:unknown|unclear|not|unanswered|uncertain|undetermined)\b",
    rf"\b{_PURE}(?: \w+){{0,3}} (?:is|are) (?:\w+ )?(?:irrelevant|unrelated|not relevant|not related|incomplete)\b",
    rf"\b{_SOURCE}(?: \w+){{0,3}} (?:is|are|remains?|stays?|keeps?) (?:\w+ )?(?:silent|unclear|not clear|vague|insufficient|not sufficient|not enough|inconclusive|ambiguous|mum)\b",
    rf"\b(?:according to|based on|from|in|per)(?: \w+){{0,2}}? {_SOURCE}(?: \w+){{0,3}} (?:answer|question)(?: \w+){{0,3}} (?:is|remains) (?:\w+ )?(?:unknown|unclear|not|unanswered|uncertain)\b",
    rf"\b(?:outside|beyond|not within|not in|out of|falls outside) (?:of )?(?:the )?(?:scope|coverage|range|remit)\b.*\b(?:{_SOURCE}|i|my|me)\b",
    rf"\b(?:question|this|that|it|topic) (?:is|falls|lies|goes)(?: \w+)? (?:outside|beyond|out of|not part of|not within|not something)(?: \w+){{0,4}}? (?:{_SOURCE}|scope|i can|my)\b",
    # the texts
    rf"\b{_PURE}(?: \w+){{0,6}}? {_DOES_NOT}{_SOFTLY} {_TELLS}\b",
    rf"\b{_SOURCE}(?: \w+){{0,4}}? {_DOES_NOT}{_SOFTLY} (?:mention|state|specify|say|discuss|describe|explain|indicate|clarify|elaborate|detail|disclose|reveal|tell|name|refer|reference|talk|comment|"
    r"go into|get into|answer|spell|touch on|touch upon|speak|define|document|note|address|identify|list|suggest|allude)\b",
    rf"\b{_SOURCE}(?: \w+){{0,3}}? {_DOES_NOT}{_SOFTLY} {_HOLD}(?: \w+){{0,4}}? {_INFO}\b",
    rf"\b{_PURE}(?: \w+){{0,6}}? {_DOES_NOT}{_SOFTLY} {_HOLD}\b",
    rf"\b{_SOURCE}(?: \w+){{0,5}}? (?:makes?|made|contains?|has|have|gives?|offers?|provides?|includes?|says?|said|says|mentions?|tells?|states?|shows?|lists?|holds?|carry|carries|given|yields?) (?:\w+ )?(?:no|nothing|none|zero|little)\b(?: \w+){{0,3}}? ?(?:{_INFO}|{_ABOUT})\b",
    r"\b(?:says?|states?|mentions?|tells? (?:us|me|you)|specif(?:y|ies)|indicates?|explains?|describes?) (?:absolutely )?nothing\b",
    rf"\b{_SOURCE}(?: \w+){{0,3}} (?:lacks?|omits?|fails? to|neglects? to|leaves? (?:out|open|unclear|it)|skips?|stops? short|is missing|are missing|is lacking|remains? silent|misses)\b",
    rf"\b(?:nothing|none|neither|nowhere|not any\w*)\b(?: \w+){{0,6}}? (?:of|in|from|within|across|among|throughout|anywhere in)(?: \w+){{0,4}}? {_PURE}\b",
    rf"\b{_PURE}(?: \w+){{0,5}} there(?: is| are| s| was| were)? (?:no|nothing|not any|not|none)\b",
    rf"\b(?:none|neither|nothing) (?:of|in)(?: \w+){{0,4}} {_TELLS}\b",
    rf"\bthere(?: is| are| was| were| s| seems? to be| appears? to be)? (?:currently |also |simply |just |really )?(?:no|not any|not enough|insufficient|nothing|little|not sufficient|not much)(?: \w+){{0,3}}? {_INFO}(?: {_ABOUT}\b|$)",
    rf"\bno (?:\w+ ){{0,3}}?(?:information|info|details?|mention|answer|indication|documentation|guidance)(?: (?:about|on|regarding|of|for|to|concerning|as to)(?: \w+){{1,8}}?)? (?:(?:is|are|was|were|has been|have been|can be|could be) )?(?:{_HELD}|{_TOLD}|exists?)\b",
    rf"\b{_NOT}{_SOFTLY} (?:{_TOLD}|{_HELD})(?: \w+){{0,3}}? (?:in|by|within|from|anywhere|of|among|across|here|there)(?: \w+){{0,5}}? (?:{_PURE})\b",
    rf"(?:\b(?:is|are|was|were|been|being|it|seems?|appears?)(?: \w+)?|^(?:\w+)?) ?{_NOT}{_SOFTLY} {_TOLD}(?: \w+){{0,4}}? (?:in|by|within|from|anywhere)(?: \w+){{0,4}}? {_SOURCE}\b",
    rf"\b{_PURE}(?: \w+){{0,6}}? (?:is|are|was|were|has|have) not{_SOFTLY} {_TOLD}\b",
    rf"\b(?:not|never) (?:\w+ ){{0,2}}?(?:among|part of|one of)(?: \w+){{0,4}} (?:{_SOURCE}|{_INFO}|facts|items|topics|things)\b",
    rf"\b(?:information|info|answer|answers|requested|topic|question|details?)(?: \w+){{0,3}}? (?:is|are|was|were|has been|have been|has|have|seems?|appears?)(?: \w+)? ?not{_SOFTLY} (?:{_TOLD}|{_HELD})\b",
    rf"^(?:sorry |unfortunately |it is |it was |this is |that is |they are |these are |is |are |simply |just |explicitly )*{_NOT}{_SOFTLY} {_TOLD}(?: (?:here|there|anywhere|explicitly|directly|at all|sorry))?$",
    r"^(?:no|zero) (?:guidance|info|mention|word|hits?|results?|trace|sign|reference)\b",
    rf"\b(?:not|nt) (?:\w+ )?(?:something|a topic|a subject|a question|a detail|anything|one) (?:that )?(?:i|it|they|the|these|{_SOURCE}|is|was)\b",
    rf"\bnot (?:\w+ )?(?:in|within|among|anywhere in|part of)(?: \w+){{0,3}}? {_PURE}\b",
    r"\b(?:left|leaves?) (?:\w+ )?open (?:whether|how|if|what|when|who|which)\b",
    r"\b(?:left|leaves?|goes|remains?|stays?) (?:\w+ )?(?:unanswered|unspecified|unstated|unmentioned|unclear|unsaid|unaddressed)\b",
    rf"\b(?:unspecified|unstated|unmentioned|undocumented|unaddressed)\b.*\b{_SOURCE}\b",
    rf"\bno such (?:{_INFO}|{_TEXT}|{_PAPER}|thing|section|detail|statement|passage)\b",
    r"\b(?:beyond|apart from|aside from) (?:that|this) .*\b(?:nothing|not|no)\b",
    rf"\bno (?:\w+ ){{0,4}}?(?:is|are|was|were|has been|have been) {_TOLD}(?: \w+){{0,3}}? (?:in|by)(?: \w+){{0,4}}? {_SOURCE}\b",
    r"\b(?:information|info|answer|detail|details) (?:is|are|seems? to be|appears? to be) (?:missing|absent|lacking|unavailable|omitted)\b",
    rf"\b(?:missing|absent|lacking|omitted|left out)(?: \w+)? (?:from|in|of)(?: \w+){{0,4}}? {_PURE}\b",
    r"\bi (?:only|just) (?:have|see|know|got)\b|\bmy (?:knowledge|training|information|sources?|documents?)(?: \w+){0,4} (?:not|no|limited|only)\b",
)
_RAW_ASKED = (
    r"\bnot (?:listed|found|included|named) among\b",
    r"^(?:but |and |yet )?whether (?!or not).*\b(?:not|no|open|nowhere|never)\b|\b(?:not|no|never|nothing|open) (?:\w+ ){0,3}whether\b(?! or not)",
    r"\b(?:unspecified|unstated|unmentioned|undisclosed|undetermined|unlisted|unaddressed|unsaid|undocumented|unreported|unconfirmed|undefined)\b",
    r"\b(?:absent|missing|lacking|omitted|left out|left off|left blank)\b|\b(?:lacks|omits|skips|leaves out|fails to)\b",
    r"\b(?:but|and|then|it|they) (?:omits|ignores|skips)\b",
    rf"\bnot{_SOFTLY} {_TOLD}\b",
    rf"\b(?:no (?:\w+ ){{1,5}}?|none )(?:is|are|was|were|has been|have been) (?:\w+ )?(?:{_TOLD}|given|listed|provided)\b",
    rf"\b(?<!you )(?<!that )(?<!which )(?<!we )(?<!must )(?:does|do) not{_SOFTLY} (?:{_SPEAK})\b",
    r"\bthere is not any\w*\b",
    rf"\bnever (?:actually |really |once )?(?:{_SPEAK})s?\b",
    r"\b(?:does|do) not (?:actually |seem to )?(?:appear|come up|show up|surface|figure|turn up|feature)(?: (?:in|anywhere|here|there|at all)\b|$)",
    r"\b(?:can|could) not be (?:\w+ )?(?:determined|answered|inferred|confirmed|derived|ascertained|established|deduced|verified)\b",
    r"\b(?:with|and|but|there is|there are|s|gives?|offers?|provides?|given|lists?|names?) no (?:\w+ )?(?:word|mention|info|information|details?|indication|figure|number|amount|date|explanation|reference|name|value|quantity|time|temperature|clue|hint)\b",
    r"\b(?:not (?:\w+ )?(?:clear|certain|obvious|evident)|unclear|unspecified|unstated|unmentioned|undocumented) ?(?:whether|if|how|what|when|who|which|where|why|from|$)",
    rf"\b{_DOES_NOT} exist in\b.*\b{_PURE}\b",
    r"\bnothing (?:about|on|regarding|concerning|is said|was said|is mentioned|said|further is said)\b",
    r"\bno (?:info|information|details?|mention|word|reference)\b",
    r"\bnothing (?:here|there|in here|in there|in it)\b",
    rf"\bno (?:\w+ ){{1,5}}?(?:in|within|from)(?: \w+){{0,3}}? {_PURE}\b",
    r"\bwithout (?:\w+ )?(?:saying|stating|specifying|mentioning|giving|explaining|naming|indicating|clarifying|detailing)\b",
)
_RAW_OPEN = (
    r"\b(?:no|without|without any|never|never its|never the|not its|not the|lacks an?) (?:\w+ )?(?:amount|figure|sum|number|date|value|price|size|quantity|name|time|year|duration|cost|limit|temperature|reason|explanation)s?\b",
    r"^(?:but|yet|though|and|with) (?:\w+ ){0,2}?(?:no|nothing|none)\b(?! one| longer|body| data)",
    r"^not (?:covered|included|listed|provided|available|shown)$",
    rf"\b{_PAPER} (?:offers?|gives?|provides?|lists?|names?|shows?|has|contains?|includes?) no\b",
    rf"\b(?:it|they|{_PAPER})(?: \w+){{0,3}}? {_DOES_NOT}{_SOFTLY} (?:provide|give|offer|list|show|contain|include|cover|supply|name)\b",
    rf"\b(?:is|are|was|were|been|has|have|be)? ?{_NOT}{_SOFTLY} (?:given|provided|listed|supplied|included|shown|available|found|present|known|there)\b",
    r"\b(?:information|data|answer)(?: \w+)? (?:unavailable|missing)\b",
)


_LEVELS = (
    (Denial.CERTAIN, any_of(_RAW_CERTAIN)),
    (Denial.IF_ASKED, any_of(_RAW_ASKED)),
    (Denial.IF_OPEN, any_of(_RAW_OPEN)),
)
_CUE = re.compile(
    r"\b(?:no|not|nothing|none|never|nope|nobody|neither|nor|nowhere|un\w+|in(?:sufficient|conclusive|complete|determinate|vented)|impossible|irrelevant|lack\w*|fail\w*|omit\w*|skip\w*|ignor\w*|neglects?|"
    r"beyond|outside|out of|elsewhere|another|different|missing|absent|silent|quiet|mum|without|need|require|idk|dunno|beats|hard|difficult|only|just|limited|confined|restricted|left|leaves?|little|vague|"
    r"ambiguous|remains?|stays?|stops?|ends|misses|keeps?|guess\w*|blank|empty|short|dry|stumped|loss|wish|mak(?:e|ing)|made up|speculat\w*|dark|scope|pass|rather|prefer|reluctant|hesita\w*|declin\w*|refrain|"
    r"abstain|who knows|search me|eludes|escapes|foggiest|clue|zero|goes|go|past|all|elsewhere|lacking|lacks?|open|dontknow|dont|cant|assume|n a|ignorant|clueless|help)\b"
)
"""Cheap to look for: a clause without any of these denies nothing."""

NAMES_TEXTS = re.compile(rf"\b(?:{_GIVEN}|{_TEXT}|(?!(?:it|they)\b){_PAPER})\b")
SUPPOSES = re.compile(
    r"^(?:if|when|whenever|unless|where|wherever|in case|once|until|should|provided that|as long as|although|though|even though|even if|while|whereas|despite)\b"
)
"""A clause that begins so, at the beginning of its sentence, supposes or grants; it does not say."""
TURNS = re.compile(
    r"^(?:but|however|nevertheless|nonetheless|that said|still|yet|generally|usually|typically|in general|based on general|commonly|normally|often|probably|likely|most likely|"
    r"presumably|i think|i believe|i guess|i would (?:guess|say|assume|expect)|i assume|my (?:best )?guess|maybe|perhaps|in most cases|from general|from my general|it is (?:probably|likely|usually|typically|generally|reasonable|safe)|"
    r"as a general rule|as a rule|assuming)\b"
)
CONCLUDES = re.compile(
    r"^(?:so|therefore|thus|hence|consequently|this means|that means|which means|meaning|it follows|and so|and that)\b"
)
TELLS = re.compile(
    r"^(?:but |however |though |still |yet |and )*(?:(?:the|this|these|those|your|provided|given|it|they|i)\b ?)(?:\w+ ){0,5}?(?:only |just |does |do |can |also |simply |merely |mainly |primarily )*"
    r"(?:mention|describe|discuss|state|say|cover|talk|focus|deal|explain|refer|list|address|include|provide|contain|give|note|concern|outline|see|find|tell|is about|are about)(?:s|es|d)?\b"
)
OFFERS = re.compile(
    r"\b(?:help|assist|contact|ask|reach|consult|rephras|refer|check|more (?:context|information|details)|call|visit|try|recommend|suggest|advise|advisable|support|see the|look|raise|submit|"
    r"provide (?:more|additional|me|the)|share|if you|feel free|let me know|happy to|glad to|website|verify|review|speak|search|find (?:it|this|that|out|more)|may list|might list|may want|best to|would show|additional)\w*"
)
MORE = re.compile(r"\b(?:other|others|further|additional|more than|else|beyond|besides|another|any more|exceptions?)\b")
ASKS_BACK = re.compile(
    r"\b(?:could|can|would|will) you (?:please |kindly |possibly )?(?:share|provide|clarify|specify|rephrase|send|give me|tell me|paste|upload|elaborate|supply|attach)\b"
)


def denial(clause: str) -> Denial:
    """How surely `clause` says that there is no answer.

    >>> denial("the context does not mention it"), denial("i do not know"), denial("no phone is given"), denial("it has no lid")
    (<Denial.CERTAIN: 3>, <Denial.CERTAIN: 3>, <Denial.IF_ASKED: 2>, <Denial.NONE: 0>)
    """
    return surest(clause, _CUE, _LEVELS)
