#!/usr/bin/env python3
"""Makes the tokenizer corpus of this folder: corpus.txt, small vocabularies, and expected ids.

  python3 make_corpus.py                       corpus.txt and all *.ids of the small vocabularies
  python3 make_corpus.py --train               the same after training new vocabularies
  python3 make_corpus.py --gguf NAME FILE      NAME.ids from the vocabulary of a GGUF file

Needs the package `tokenizers` (0.23 made what is in the tree), which is the reference; --gguf needs
`gguf` as well. The vocabularies are trained on LICENSE and on the corpus itself, in chunks that
disregard word boundaries, so that a word split in the wrong place gives other ids. Training breaks
ties at random; the vocabularies in the tree are therefore kept unless --train asks for new ones.

corpus.txt holds one text a line, with \\n \\r \\t \\\\ and \\xNN for bytes. A line of an ids file
holds the ids of that text without control tokens and, after a tab, with them where they differ; "-"
where the reference cannot tell: its unigram model takes the names of control and byte tokens in plain
text for those tokens, which SentencePiece does not.

The reference takes valid text only. A byte that is no UTF-8 is defined as a character of no category, and
its reference is made from that of a stand-in, a character of private use without a token: see invalid_ids()."""

import json
import random
import re
import struct
import sys
import unicodedata
from pathlib import Path

from tokenizers import (AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers,
                        trainers)

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]

# The published expressions of the pre-tokenizers (Llama 3 and Qwen2 tokenizer.json).
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
          r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace("{1,3}", "")

SCRIPTS = """
The quick brown fox jumps over the lazy dog, doesn't it?
Le cœur déçu mais l'âme plutôt naïve, Louÿs rêva de crapaüter en canoë.
Falsches Üben von Xylophonmusik quält jeden größeren Zwerg; STRASSE und Straße.
El pingüino Wenceslao hizo kilómetros bajo exhaustiva lluvia y frío; ¿añoraba?
Pijamalı hasta yağız şoföre çabucak güvendi. İstanbul'da ılık.
Příliš žluťoučký kůň úpěl ďábelské ódy.
Đêm nay trời đẹp quá, tiếng Việt có nhiều dấu.
Съешь же ещё этих мягких французских булок, да выпей чаю.
Щастям б'єш жук їх глицю в фон й ґедзь пріч.
Ξεσκεπάζω την ψυχοφθόρα βδελυγμία· Ὦ ἄνδρες Ἀθηναῖοι.
Բել դղյակի ձախ ժամն օֆ ազգությանը ցպահանջ չճշտած վնաս էր։
დედამიწა სამშობლოა ჩვენი, ქართული ენა.
דג סקרן שט בים מאוכזב ולפתע מצא חברה. שָׁלוֹם
صِف خَلقَ خَودِ كَمِثلِ الشَمسِ إِذ بَزَغَت — ١٢٣٤٥٦
همهٔ افراد بشر آزاد به دنیا می‌آیند ۱۲۳۴
ܒܪܫܝܬ ܐܝܬܘܗܝ ܗܘܐ ܡܠܬܐ
ऋषियों को सताने वाले दुष्ट राक्षसों के राजा रावण १२३४
আমি বাংলায় গান গাই। ১২৩
ਪੰਜਾਬੀ ਗੁਰਮੁਖੀ ਲਿਪੀ ਹੈ ੧੨੩
ગુજરાતી ભાષા ૧૨૩
யாமறிந்த மொழிகளிலே தமிழ்மொழி போல் ௧௨௩
తెలుగు భాష అందమైనది ౧౨౩
ಕನ್ನಡ ಭಾಷೆ ೧೨೩
മലയാളം ഭാഷ ൧൨൩
සිංහල අක්ෂර මාලාව
เป็นมนุษย์สุดประเสริฐเลิศคุณค่า ๑๒๓๔
ພາສາລາວ ໑໒໓
ཨོཾ་མ་ཎི་པདྨེ་ཧཱུྃ ༡༢༣
မြန်မာဘာသာ ၁၂၃
ភាសាខ្មែរ ១២៣
ሰማይ አይታረስ ንጉሥ አይከሰስ፡፡ ፩፪፫
ᏣᎳᎩ ᎦᏬᏂᎯᏍᏗ
ᐃᓄᒃᑎᑐᑦ
ᚠᛇᚻ᛫ᛒᛦᚦ᛫ᚠᚱᚩᚠᚢᚱ
ᠮᠣᠩᠭᠣᠯ ᠪᠢᠴᠢᠭ ᠑᠒᠓
いろはにほへと ちりぬるを わかよたれそ つねならむ
色は匂へど散りぬるを我が世誰ぞ常ならむ有為の奥山今日越えて
カタカナ ﾊﾝｶｸ ガギグゲゴ ヷヸ
天地玄黄，宇宙洪荒。日月盈昃，辰宿列張。
我能吞下玻璃而不傷身體。简体中文也可以。
다람쥐 헌 쳇바퀴에 타고파 대한민국
ꦲꦏ꧀ꦱꦫꦗꦮ ꧑꧒꧓
𐌰𐌱𐌲 𐍅𐌿𐌻𐍆𐌹𐌻𐌰 𒀭𒈹 𓀀𓂀 𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝟏𝟐𝟑
"""

EMOJI = """
😀😃😄😁 😆😅
👍👍🏻👍🏼👍🏽👍🏾👍🏿
👨‍👩‍👧‍👦 👩🏽‍🚀 🧑‍🤝‍🧑 🏳️‍🌈 🏴‍☠️
🇩🇪🇫🇷🇯🇵 🇺
🏴󠁧󠁢󠁥󠁮󠁧󠁿 ❤️‍🔥 ❤ ☺️ ☎︎
1️⃣2️⃣3️⃣ #️⃣ *️⃣ ©️ ™
text👍text 👍 text  👍👍  text
→ ⇒ ∀x∈ℝ: ⌈x⌉ = −⌊−x⌋ ∑∫√π≈3.14159 ½ ⅓ ² ³ ₁₂ Ⅷ ①②③ ㊗️ ㎏
"""

CODE = r"""
int main(void) { return printf("%d\n", 0x1F + 1e-9); }
\tif (x != y && *p++ == '\\0') {\n\t\treturn -1;\n\t}\n
def f(self, *args, **kwargs):\n    return {k: v for k, v in kwargs.items()}\n
        deep = indentation\n            deeper = still\n
for (size_t i = 0; i < n; ++i) a[i] += b[i] * c[i]; // sum
SELECT * FROM "t" WHERE a='it''s' AND b<>'don''t'; -- done
<div class="a b">&nbsp;<br/></div> <!-- x -->
https://example.org/a/b?q=1&r=%20#frag user@example.org /usr/lib/x86_64-linux-gnu
{"key": [1, 2.5, -3e10, null, true], "k\\u00e9y": "v\\\\n"}
#include <stdio.h>\n#define MAX(a,b) ((a)>(b)?(a):(b))\n
$ grep -rn 'foo\\|bar' . | wc -l\n\n>>> 1_000_000 ** 2\n
\\documentclass{article}\\begin{document}$e^{i\\pi}+1=0$\\end{document}
fn main() { let x: Vec<&'static str> = vec!["a"; 3]; println!("{x:?}"); }
CamelCaseIdentifier snake_case_identifier SCREAMING_CASE kebab-case-name x1y2z3
"""

DIGITS = """
0
12
123
1234
12345
1234567890
3.14159265358979323846264338327950288419716939937510
1,234,567.89 -42 +7 1e10 0x7fff 0b1010 1/2
2026-11-23T14:05:09.123456Z
a1b22c333d4444 1st 2nd 3rd 4th
 1  12   123    1234
١٢٣٤٥٦٧٨٩٠ ०१२३४५६७८९ 一二三四 〇
1٢3४ ½1 1½ ²2 2² Ⅻ12
"""

CONTRACTIONS = """
I'm you're he's she'd we'll they've can't 'tis 'twas
I'M YOU'RE HE'S SHE'D WE'LL THEY'VE CAN'T
don't'll'd 's 't 're 've 'm 'll 'd
'S'T'RE'VE'M'LL'D 'sa 'ta 'rea 'vea 'ma 'lla 'da
' 's '' ''s '''s ' s 'r 'v 'l 'R 'V 'L 'rE 'Ve 'lL
don’t it’s ’s ‘quoted’ “double”
'ſ it'ſ 'ſt 'İ 'ß
x's 1's !'s 's's's ''re !'re 1're
"""

# Written with escapes, because editors and eyes lose white space.
SPACES = r"""
 a
  a
   a
a 
a  
a   
 
  
   
                                        
a b  c   d    e     f
\n
\n\n
\n\n\na
a\nb\n\nc\n\n\nd
a \nb  \n c \n  d\n \n
\r\n
a\r\nb\r\n\r\nc\r\r\rd
 \r\n \r\n a
\t
\t\ta
a\tb\t\tc\t\t\td
 \t \t a\t \t
\t\n\t\nx
a\n 1\n  2\n!\n ?\n\n
!\n!\n\n! \n!\r\n
1 \n2\n 3  \n 4
\u00a0a\u00a0\u00a0b \u00a0 c\u00a0
\u3000a\u3000\u3000b
a\u2028b\u2029c\u0085d\u000be\u000cf
\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f x
a\u200bb\u200cc\u200dd\u2060e\ufefff\u180eg
 \u00a0\n\u2003\u3000 x \u2003
\ufeffstart
a  1   2    b  !  ?   x
   \n   \n   x   \n
  'll   's  12  123
\u2581a\u2581\u2581b \u2581 c
"""

MARKS = r"""
e\u0301 \u00e9 E\u0301\u0302 a\u0308o\u0308u\u0308 A\u030a \u212b \u2126 \u00c5
q\u0307\u0323 q\u0323\u0307 s\u0323\u0307 \u1e69 \u1e9b\u0323 d\u0307\u0323
\u1100\u1161 \u1100\u1161\u11a8 \uac00\u11a8 \uac01 \u1112\u1161\u11ab\u1100\u1173\u11af
\u0301abc \u0301\u0302\u0303 a\u0315\u0300\u05ae\u0300b
\u0958 \u0915\u093c \u09cb \u09c7\u09be \u0b94 \u0b92\u0bd7 \u0dde
\u03b1\u0345\u0301 \u1fb4 \u03c9\u0313\u0300\u0345 \u1fa2
\ufb01 \ufb03 \u00bd \u2460 \uff21\uff22 \u210c \u2163
\uf900 \ufa0e \U0002f800 \u2adc \U0001d15e \U0001d1c0
z\u0337\u0311\u0358a\u0334\u0321l\u0338\u0322g\u0335o\u0336
\u05e9\u05c1\u05b8 \u0634\u0651\u064e \u0e01\u0e33 \u0f71\u0f72\u0f74
a\u0300\u0301\u0302\u0303\u0304\u0305\u0306\u0307\u0308\u0323\u0324\u0325\u0327\u0328b
"""

CONTROLS = r"""
\x00
a\x00b\x00\x00c
\x01\x02\x03\x04\x05\x06\x07\x08\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f\x7f
\x1b[31mred\x1b[0m \x08\x08 bell\x07
\u0080\u0081\u009f\u00ad \u2066a\u2069 \u202eabc\u202c
\ue000 \uf8ff \U000f0000 \U0010fffd \uffff \ufffd \U0001f9ff\ufe0f
"""

SPECIAL = r"""
<|im_start|>user\nHello!<|im_end|>\n<|im_start|>assistant\n
<|endoftext|>
a<|endoftext|>b <|endoftext|> c\n<|endoftext|>\n
<|endoftext<|endoftext|>|endoftext|>
<|im_start|><|im_end|><|im_start|> <|im_end|>  x
  <|im_start|>  1<|im_end|>'s
<tool_call>{"name": "f"}</tool_call> <tool_call> <tool_callx>
<|im_start <|im_end| im_start|> < | >
\t\t\t\tx \t\t\t y
<s> </s> <unk> <bos> <0x41> <0x0A>
"""

# Bytes that are no UTF-8: alone, truncated, overlong, surrogates, beyond U+10FFFF, beside all kinds of characters.
INVALID = r"""
\xff
\xff\xfe text \xff
a\x80b \x80 c\xbf
\xc3
caf\xc3
\xc3( x\xc3\xa9\xc3 \xa9\xc3
\xe2\x82 \xe2\x82\xac \xe2\x82
\xf0\x9f\x91 \xf0\x9f\x91\x8d\xf0\x9f\x91 \xf0\x9f\xf0
\xc0\x80 \xc1\xbf \xe0\x80\x80 \xf0\x80\x80\x80
\xed\xa0\x80 \xed\xbf\xbf \xed\xa0\xbd\xed\xb1\x8d
\xf4\x90\x80\x80 \xf5\x80\x80\x80 \xf8\x88\x80\x80\x80 \xfe\xff
1\xff2 12\xff34 12345\x80\x806789
'\xffs it'\xff don't\xff \xff'll
!\xff! \xff\n\xff \n \xff\r\n\xff\xff\n\n  \xff  \t\xff
<|im_start|>\xffuser\xff<|im_end|>\x80
<|im_start\xff|> <tool_call>\xff</tool_call>\xff <|im_end|\x80
e\xcc \xcc\x81 e\xcc\x81\xcc e\xff\xcc\x81 \xe1\x84\x80\xff\xe1\x85\xa1
\xe4\xb8\xad\xe6\x96 \xe4\xb8\xe6\x96\x87 \xd0\xd0\xb0
"""

WORDS = ["the", "of", "License", "licensor", "shall", "terms", "Copyright", "1", "22", "333", "4567", " ",
         "  ", "\n", "\n\n", "\t", "'s", "'ll", "!", "?!", "...", "(", ")", "é", "中文", "日本", "है",
         "👍", "-", "_", "=", "==", "\u00a0", "x", "Über", "don't", "$", "#", "'"]


def corpus():
    """All texts, in file order."""
    texts = [""]
    for block in (SCRIPTS, EMOJI, DIGITS, CONTRACTIONS):
        texts += block.strip("\n").split("\n")
    for block in (CODE, SPACES, MARKS, CONTROLS, SPECIAL):
        for line in block.strip("\n").split("\n"):
            texts.append(re.sub(r"\\(U[0-9a-f]{8}|u[0-9a-f]{4}|x[0-9a-f]{2}|[nrt\\])",
                                lambda m: escape_value(m[1]), line))
    randomly = random.Random(20261123)
    for _ in range(80):
        texts.append("".join(randomly.choice(WORDS) for _ in range(randomly.randint(2, 10))))
    texts += ["a" * 200, " " * 150, "7" * 100, "👍" * 30, "ab" * 70, "\n" * 70, "e\u0301" * 40,
              "\u0301\u0323" * 40, "the " * 40, "=" * 90]
    texts += invalid_texts()
    return texts


def script_count(texts):
    """How many scripts there are letters of, as the names of characters begin."""
    letters = {c for text in texts for c in text if unicodedata.category(c)[0] == "L"}
    first_words = {unicodedata.name(c, "?").split(" ")[0] for c in letters}
    return len(first_words & set("""LATIN CYRILLIC GREEK ARMENIAN GEORGIAN HEBREW ARABIC SYRIAC DEVANAGARI BENGALI
        GURMUKHI GUJARATI TAMIL TELUGU KANNADA MALAYALAM SINHALA THAI LAO TIBETAN MYANMAR KHMER ETHIOPIC CHEROKEE
        CANADIAN RUNIC MONGOLIAN HIRAGANA KATAKANA CJK HANGUL JAVANESE GOTHIC CUNEIFORM EGYPTIAN""".split()))


def invalid_texts():
    """Each invalid byte is a surrogate U+DC00 + byte, as Python decodes it."""
    texts = [re.sub(rb"\\(x[0-9a-f]{2}|[nrt])", lambda m: bytes([byte_value(m[1])]), line.encode())
             for line in INVALID.strip("\n").split("\n")]
    randomly = random.Random(20261127)
    texts += [b"\xff" * 60, b"\x80\xc3" * 30]
    texts += [bytes(randomly.randrange(256) for _ in range(randomly.randint(10, 60))) for _ in range(12)]
    return [text.decode("utf-8", "surrogateescape") for text in texts]


def byte_value(code):
    return int(code[1:], 16) if code[:1] == b"x" else {b"n": 10, b"r": 13, b"t": 9}[code]


def escape_value(code):
    if code[0] in "Uux":
        return chr(int(code[1:], 16))
    return {"n": "\n", "r": "\r", "t": "\t", "\\": "\\"}[code]


def escape(text):
    out = []
    for c in text:
        if is_invalid(c):
            out.append("\\x%02x" % invalid_byte(c))
        elif c == "\\":
            out.append("\\\\")
        elif c in "\n\r\t":
            out.append({"\n": "\\n", "\r": "\\r", "\t": "\\t"}[c])
        elif ord(c) < 0x20 or c.isspace() and c != " " or 0x7f <= ord(c) < 0xa1 or c in "\ufeff\u200b":
            out.append("".join("\\x%02x" % b for b in c.encode()))
        else:
            out.append(c)
    line = "".join(out)
    return line[:-1] + "\\x20" if line.endswith(" ") else line


def is_invalid(c):
    return 0xdc80 <= ord(c) <= 0xdcff


def invalid_byte(c):
    return ord(c) - 0xdc00


def training_texts(texts):
    texts = [text for text in texts if not any(map(is_invalid, text))]
    return [(ROOT / "LICENSE").read_text()] + texts * 3


# ---- Byte-level BPE

def bytelevel_split(name):
    gpt2 = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    raw = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    if name == "gpt2":
        return gpt2
    if name == "smollm":
        return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), gpt2])
    expression = {"llama3": LLAMA3, "qwen2": QWEN2}[name]
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(expression), "isolated"), raw])


def bytelevel_reference(vocabulary, merges, name):
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, ignore_merges=name == "llama3"))
    tokenizer.pre_tokenizer = bytelevel_split(name)
    if name == "qwen2":
        tokenizer.normalizer = normalizers.NFC()
    return tokenizer


def train_bytelevel(texts):
    """Tokens (by id) and merges (by rank). Beyond training: second ways to make some tokens, at any
    rank, and words that no merges make, which only a vocabulary that ignores merges finds."""
    tokenizer = Tokenizer(models.BPE())
    raw = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(r"[\s\S]{1,11}"), "isolated"), raw])
    trainer = trainers.BpeTrainer(vocab_size=2200, min_frequency=2, show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(training_texts(texts), trainer)
    model = json.loads(tokenizer.to_str())["model"]
    tokens = [t for t, _ in sorted(model["vocab"].items(), key=lambda item: item[1])]
    merges = [tuple(m) for m in model["merges"]]
    known, used = set(tokens), set(merges)
    randomly = random.Random(7)
    for token in tokens:
        cuts = [(token[:k], token[k:]) for k in range(1, len(token))]
        cuts = [c for c in cuts if c[0] in known and c[1] in known and c not in used]
        if cuts and randomly.random() < 0.2:
            cut = randomly.choice(cuts)
            merges.insert(randomly.randint(0, len(merges)), cut)
            used.add(cut)
    words = [w for w in dict.fromkeys(re.findall(r" [A-Za-z]{4,9}", training_texts(texts)[0]))]
    words = [w.replace(" ", "Ġ") for w in words if w.replace(" ", "Ġ") not in known][:60]
    return tokens + words, merges


def write_bytelevel(texts):
    tokens, merges = train_bytelevel(texts)
    lines = ["kind bpe", "pre gpt2", f"bos {len(tokens) + 1}", f"eos {len(tokens) + 2}",
             f"end {len(tokens)}"]
    lines += ["token N " + t for t in tokens]
    lines += ["token C " + t for t in ("<|endoftext|>", "<|im_start|>", "<|im_end|>")]
    lines += ["token D " + spell(t) for t in ("<tool_call>", "<tool_call>x", "\t\t\t")]
    lines += [f"merge {a} {b}" for a, b in merges]
    write("bytelevel.vocab", lines)


def make_bytelevel(texts):
    vocabulary = Vocabulary("bytelevel.vocab")
    for name in ("gpt2", "smollm", "llama3", "qwen2"):
        make = lambda: bytelevel_reference(vocabulary.ids, vocabulary.merges, name)
        write_ids(name, texts, make, vocabulary.of_class("D"), vocabulary.of_class("C"))


def add_tokens(tokenizer, texts, special):
    added = [AddedToken(t, normalized=False, special=special) for t in texts]
    (tokenizer.add_special_tokens if special else tokenizer.add_tokens)(added)


# ---- SentencePiece

def space_normalizer(prefix, trim=False):
    steps = []
    if trim:
        steps += [normalizers.Replace(Regex(r"\A +| +\z"), ""), normalizers.Replace(Regex(" {2,}"), " ")]
    if prefix:
        steps.append(normalizers.Prepend("▁"))
    return normalizers.Sequence(steps + [normalizers.Replace(" ", "▁")])


def scores_to_merges(tokens, scores, normal):
    """As Hugging Face converts SentencePiece models: every cut of a piece into two pieces, the best
    pieces first."""
    known = {t: i for i, t in enumerate(tokens)}
    merges = []
    for i in normal:
        piece = tokens[i]
        cuts = [(piece[:k], piece[k:]) for k in range(1, len(piece))]
        cuts = [c for c in cuts if c[0] in known and c[1] in known]
        merges += [(a, b, scores[i]) for a, b in sorted(cuts, key=lambda c: (known[c[0]], known[c[1]]))]
    merges.sort(key=lambda m: (m[2], len(m[0]), len(m[1])), reverse=True)
    return [(a, b) for a, b, _ in merges]


def spm_reference(tokens, scores, normal, normalizer, unknown):
    tokenizer = Tokenizer(models.BPE(
        vocab={t: i for i, t in enumerate(tokens)}, merges=scores_to_merges(tokens, scores, normal),
        byte_fallback=True, fuse_unk=True, unk_token=unknown))
    tokenizer.normalizer = normalizer
    return tokenizer


def write_spm(texts):
    trained = Tokenizer(models.BPE(unk_token="<unk>"))
    trained.normalizer = space_normalizer(False)
    trained.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    trainer = trainers.BpeTrainer(vocab_size=1700, min_frequency=2, show_progress=False,
                                  limit_alphabet=400, special_tokens=["<unk>"])
    trained.train_from_iterator(training_texts(texts), trainer)
    pieces = [t for t, _ in sorted(trained.get_vocab().items(), key=lambda item: item[1])][1:]
    # A piece of characters that are no pieces themselves merges in SentencePiece but not in the
    # reference; real vocabularies have none, so line breaks and tabs stay bytes here.
    pieces = [p for p in pieces if not set(p) & set("\t\n\r") and p not in SPECIAL_TEXTS]
    # Runs of spaces, and a piece with a space inside, as Gemma has them.
    extra = ["▁▁", "▁▁▁▁", "▁▁▁▁▁▁▁▁", "▁</", ">▁</"]
    singles = [p for p in pieces if len(p) == 1]
    longer = [p for p in pieces if len(p) > 1]
    normal = longer[:40] + [e for e in extra if e not in longer] + longer[40:] + singles
    write("spm.vocab", ["kind spm"] + sentence_piece_head() +
          [f"token N {-i} {spell(t)}" for i, t in enumerate(normal)])


def write_unigram(texts):
    trained = Tokenizer(models.Unigram())
    trained.normalizer = space_normalizer(False)
    trained.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    trainer = trainers.UnigramTrainer(vocab_size=1500, unk_token="<unk>", show_progress=False,
                                      special_tokens=["<unk>"])
    trained.train_from_iterator(training_texts(texts), trainer)
    pieces = [(t, s) for t, s in json.loads(trained.to_str())["model"]["vocab"]
              if t not in SPECIAL_TEXTS]
    extra = [("▁▁", -7.5), ("▁▁▁", -9.25), (">▁<", -11.0)]
    pieces += [e for e in extra if e[0] not in dict(pieces)]
    write("unigram.vocab", ["kind unigram"] + sentence_piece_head() +
          [f"token N {struct.unpack('f', struct.pack('f', s))[0]!r} {spell(t)}" for t, s in pieces])


SPECIAL_TEXTS = ("<unk>", "<s>", "</s>", "\n\n", "<tool_call>")


def sentence_piece_head():
    lines = ["bos 1", "eos 2", "unknown 0", "flag add_bos", "end 2", "token U 0 <unk>"]
    lines += ["token C 0 <s>", "token C 0 </s>", "token D 0 \\x0a\\x0a", "token D 0 <tool_call>"]
    return lines + ["token B 0 <0x%02X>" % b for b in range(256)]


def make_spm(texts):
    v = Vocabulary("spm.vocab")
    for name, prefix in (("spm", False), ("spm_prefix", True)):
        make = lambda: spm_reference(v.tokens, v.scores, v.normal(), space_normalizer(prefix), "<unk>")
        write_ids(name, texts, make, v.of_class("D"), v.of_class("UC"))


def make_unigram(texts):
    v = Vocabulary("unigram.vocab")
    for name, trim in (("unigram", False), ("unigram_trim", True)):
        make = lambda: unigram_reference(v.tokens, v.scores, space_normalizer(True, trim))
        write_ids(name, texts, make, v.of_class("D"), v.of_class("UC"), (v.of_class("UCB"), v.of_class("B")))


def unigram_reference(tokens, scores, normalizer):
    tokenizer = Tokenizer(models.Unigram(list(zip(tokens, scores)), unk_id=0, byte_fallback=True))
    tokenizer.normalizer = normalizer
    return tokenizer


# ---- Real vocabularies

def make_from_gguf(name, path, texts):
    from gguf import GGUFReader
    fields = GGUFReader(path).fields
    get = lambda key: fields["tokenizer.ggml." + key].contents()
    tokens, types = get("tokens"), get("token_type")
    of_type = lambda *kinds: [t for t, k in zip(tokens, types) if k in kinds]
    if get("model") == "gpt2":
        ids = {t: i for i, t in enumerate(tokens)}
        merges = [tuple(m.split(" ")) for m in get("merges")]
        make = lambda: bytelevel_reference(ids, merges, get("pre"))
    else:
        normal = [i for i, k in enumerate(types) if k == 1]
        unknown = tokens[get("unknown_token_id")]
        make = lambda: spm_reference(tokens, get("scores"), normal, space_normalizer(False), unknown)
    write_ids(name, texts, make, of_type(4), of_type(2, 3))


# ---- Files

def spell(text):
    return "".join("\\x%02x" % ord(c) if c in "\n\t\r \\" else c for c in text)


def write(name, lines):
    (HERE / name).write_text("".join(line + "\n" for line in lines), encoding="utf-8", newline="\n")


class Vocabulary:
    """A text file as tokenizer_section.cpp describes it."""

    def __init__(self, name):
        self.tokens, self.classes, self.scores, self.merges = [], [], [], []
        for line in (HERE / name).read_text(encoding="utf-8").split("\n"):
            key, _, rest = line.partition(" ")
            parts = rest.split(" ")
            if key == "token":
                self.classes.append(parts[0])
                self.tokens.append(unspell(parts[-1]))
                self.scores.append(float(parts[1]) if len(parts) == 3 else 0.0)
            elif key == "merge":
                self.merges.append((unspell(parts[0]), unspell(parts[1])))
        self.ids = {t: i for i, t in enumerate(self.tokens)}

    def of_class(self, letters):
        return [t for t, c in zip(self.tokens, self.classes) if c in letters]

    def normal(self):
        return [i for i, c in enumerate(self.classes) if c == "N"]


def unspell(text):
    return re.sub(r"\\x([0-9a-f]{2})", lambda m: chr(int(m[1], 16)), text)


# ---- Bytes that are no UTF-8

STAND_IN = 0x10fe00  # + the byte: private use, so neither letter, number nor space, and inert in form C


def stand_in_texts(text):
    return "".join(chr(STAND_IN + invalid_byte(c)) if is_invalid(c) else c for c in text)


def byte_letters():
    """GPT-2's letters for bytes: ByteLevel's own, by way of text where there is text for a byte."""
    visible = [*range(0x21, 0x7f), *range(0xa1, 0xad), *range(0xae, 0x100)]
    others = [b for b in range(256) if b not in visible]
    return {**{b: chr(b) for b in visible}, **{b: chr(256 + i) for i, b in enumerate(others)}}


def invalid_ids(tokenizer, added, text):
    """Ids of a text with invalid bytes. Byte-level: added tokens are cut out and words split with the stand-ins
    in place, whose letters then become the letter of the byte before merging. SentencePiece: the four byte tokens
    of a stand-in become that of the byte."""
    text = stand_in_texts(text)
    if isinstance(tokenizer.model, models.BPE) and not tokenizer.model.byte_fallback:
        return invalid_bytelevel_ids(tokenizer, added, text)
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    byte_ids = [tokenizer.token_to_id("<0x%02X>" % b) for b in range(256)]
    result = []
    while ids:
        for byte in range(0x80, 0x100):
            run = [byte_ids[b] for b in chr(STAND_IN + byte).encode()]
            if ids[:4] == run:
                result.append(byte_ids[byte])
                ids = ids[4:]
                break
        else:
            result.append(ids.pop(0))
    return result


def invalid_bytelevel_ids(tokenizer, added, text):
    letters = byte_letters()
    ids = []
    expression = "|".join(re.escape(t) for t in sorted(added, key=len, reverse=True))
    for part in re.split(f"({expression})", text) if added else [text]:
        if part in added:
            ids.append(tokenizer.token_to_id(part))
            continue
        if tokenizer.normalizer:
            part = tokenizer.normalizer.normalize_str(part)
        for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(part) if part else []:
            for byte in range(0x80, 0x100):
                word = word.replace("".join(letters[b] for b in chr(STAND_IN + byte).encode()), letters[byte])
            ids += [token.id for token in tokenizer.model.tokenize(word)]
    return ids


def write_ids(name, texts, make, user, control, untold=((), ())):
    """`make` makes the tokenizer without added tokens; `untold` has, for each column, words that a text
    must not hold for the reference to be asked."""
    plain, special = make(), make()
    add_tokens(plain, user, False)
    add_tokens(special, user, False)
    add_tokens(special, control, True)
    def ids(tokenizer, added, text):
        if any(map(is_invalid, text)):
            return invalid_ids(tokenizer, added, text)
        return tokenizer.encode(text, add_special_tokens=False).ids

    lines = []
    for text in texts:
        columns = ["-" if any(word in text for word in words) else " ".join(map(str, ids(tokenizer, added, text)))
                   for tokenizer, added, words in zip((plain, special), (user, user + control), untold)]
        lines.append(columns[0] if columns[0] == columns[1] else "\t".join(columns))
    write(name + ".ids", lines)


def main(arguments):
    texts = corpus()
    assert script_count(texts) >= 30
    if arguments[:1] == ["--gguf"] and len(arguments) == 3:
        return make_from_gguf(arguments[1], arguments[2], texts)
    if arguments not in ([], ["--train"]):
        sys.exit(__doc__)
    write("corpus.txt", [escape(text) for text in texts])
    if arguments == ["--train"]:
        for write_vocabulary in (write_bytelevel, write_spm, write_unigram):
            write_vocabulary(texts)
    for make in (make_bytelevel, make_spm, make_unigram):
        make(texts)


if __name__ == "__main__":
    main(sys.argv[1:])
