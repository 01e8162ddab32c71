import { describe, expect, test } from 'vitest'
import { nameProblem } from '../../src/registration/names.ts'
import { judge } from '../../src/registration/policy.ts'
import { builtInPolicies } from '../../src/registration/rules.ts'

const unseen = 'must not contain characters that are not seen, or that control how text is shown'
const spaced = 'must not begin or end with a space, or have several in a row'
const empty = 'must contain a letter or a digit'
const piled = 'must not pile up marks, or have one without a letter'

describe('a name that people see', () => {
  test.each([
    ['Latin', 'Field Notes'],
    ['with digits', '1Password 8'],
    ['of a digit', '3M'],
    ['with punctuation', 'Rock ’n’ Roll, Inc. (Beta) – C++ & C#!'],
    ['with symbols', '[Notes]™ ✅ © £5'],
    ['with accents', 'Straße, Æble, Crème Brûlée'],
    ['decomposed', 'Tiếng Việt'.normalize('NFD')],
    ['Greek', 'Σημειώσεις'],
    ['Russian', 'Записки'],
    ['Arabic', 'تطبيق المفكرة'],
    ['Arabic with vowels', 'مُفَكِّرَةٌ'],
    ['Persian, whose word parts are separated by U+200C', 'می\u200cنویسم'],
    ['Hebrew with vowels', 'שִׁירָה'],
    ['Hindi, with three marks on a letter', 'ज़िंदगी नोट्स'],
    ['Hindi, with letters joined by U+200D', 'क्\u200dष'],
    ['Sinhala, with letters joined by U+200D', 'ශ්\u200dරී'],
    ['Malayalam, with a letter that ends in U+200D', 'അവന്\u200d പറഞ്ഞു'],
    ['Kannada, with a word that ends in U+200C', 'ನೋಟ್ಸ್ ಆಪ್\u200c'],
    ['Bengali, with a word that ends in U+200D', 'হঠাত্\u200d'],
    ['Tamil', 'தமிழ் குறிப்புகள்'],
    ['Thai', 'บันทึกที่น่ารัก ผู้ใช้'],
    ['Burmese', 'မြန်မာ့ ကြွေး'],
    ['Khmer', 'កំណត់ត្រាស្ត្រី'],
    ['Tibetan', 'བསྒྲུབས'],
    ['Japanese', 'メモ帳・プロ'],
    ['Japanese, decomposed', 'ガイド'.normalize('NFD')],
    ['Japanese, with the form of a character', '葛\u{e0100}城市'],
    ['Chinese', '備忘錄（測試）'],
    ['Mongolian, with the form of a letter and a separated vowel', 'ᠮᠣᠩᠭᠣᠯ ᠪᠢᠴᠢᠭ\u180b ᠬᠠᠮᠢᠶ\u180eᠠ'],
    ['Tai Tham', 'ᨠ᩠ᩅ᩶ᩣ᩠ᨦ'],
    ['Korean', '한국어 노트'],
    ['Korean, decomposed', '한국어 노트'.normalize('NFD')],
    ['with an emoji that has a variation selector', '❤\ufe0f Photos'],
    ['with an emoji that joins several', 'Family \u{1f468}\u200d\u{1f469}\u200d\u{1f467}'],
    ['with a flag', 'Bahn \u{1f1e9}\u{1f1ea}'],
    ['with a flag made of tags', '\u{1f3f4}\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f} Cricket'],
    ['with a keycap', '1\ufe0f\u20e3 App'],
  ])('is accepted (%s): %s', (_what, name) => {
    expect(nameProblem(name)).toBeUndefined()
  })

  test.each<[what: string, name: string, problem: string]>([
    // Cc, and line breaks
    ['a null', 'a\0b', unseen],
    ['a tab', 'a\tb', unseen],
    ['a line feed', 'a\nb', unseen],
    ['NEL', 'a\u0085b', unseen],
    ['a line separator', 'a\u2028b', unseen],
    ['a paragraph separator', 'a\u2029b', unseen],
    // Zs other than the space
    ['a no-break space', '\u00a0', unseen],
    ['an em space', 'a\u2003b', unseen],
    ['an Ogham space', 'a\u1680b', unseen],
    ['an ideographic space', '\u3000', unseen],
    // blank letters and symbols
    ['a blank Braille pattern', '\u2800', unseen],
    ['a Hangul filler', '\u3164', unseen],
    ['a Hangul choseong filler', 'a\u115fb', unseen],
    ['a halfwidth Hangul filler', 'a\uffa0b', unseen],
    ['a hieroglyphic blank', 'a\u{13441}b', unseen],
    ['a null notehead', 'a\u{1d159}b', unseen],
    ['a Khitan filler', 'a\u{16fe4}b', unseen],
    ['an object replacement', 'a\ufffcb', unseen],
    ['a replacement character', 'a\ufffdb', unseen],
    // Cf and Default_Ignorable_Code_Point
    ['a soft hyphen', 'a\u00adb', unseen],
    ['a combining grapheme joiner', 'a\u034fb', unseen],
    ['an Arabic number sign', 'a\u0600b', unseen],
    ['an Arabic letter mark', 'a\u061cb', unseen],
    ['a Khmer inherent vowel', 'a\u17b4b', unseen],
    ['a Mongolian vowel separator', 'a\u180eb', unseen],
    ['a zero width space', 'a\u200bb', unseen],
    ['a non-joiner among Latin letters', 'a\u200cb', unseen],
    ['a joiner among Latin letters', 'a\u200db', unseen],
    ['a joiner at the end of a word', 'ا\u200d', unseen],
    ['two joiners', 'ا\u200c\u200cا', unseen],
    ['two joiners after a virama', 'ಆಪ್\u200c\u200c', unseen],
    ['two variation selectors', '葛\u{e0100}\u{e0101}', unseen],
    ['two Mongolian selectors', 'ᠭ\u180b\u180b', unseen],
    ['a joiner alone', '\u200d', unseen],
    ['a left-to-right mark', 'a\u200eb', unseen],
    ['a right-to-left override', 'a\u202eb', unseen],
    ['a word joiner', 'a\u2060b', unseen],
    ['an isolate', 'a\u2066b', unseen],
    ['a deprecated format character', 'a\u206ab', unseen],
    ['a variation selector on a letter', 'a\ufe0fb', unseen],
    ['a supplementary variation selector', 'a\u{e0100}b', unseen],
    ['a byte order mark', 'a\ufeffb', unseen],
    ['an interlinear annotation', 'a\ufff9b', unseen],
    ['a shorthand control', 'a\u{1bca0}b', unseen],
    ['a musical control', 'a\u{1d173}b', unseen],
    ['a tag', 'a\u{e0041}b', unseen],
    ['a joiner after an emoji that joins nothing', '\u{1f468}\u200da', unseen],
    // Co, Cs, Cn
    ['private use', 'a\ue000b', unseen],
    ['supplementary private use', 'a\u{f0000}b', unseen],
    ['half a surrogate pair', 'a\ud800b', unseen],
    ['a noncharacter', 'a\ufffeb', unseen],
    ['an unassigned code point', 'a\u0378b', unseen],
    // spaces
    ['a space alone', ' ', spaced],
    ['a space in front', ' Photos', spaced],
    ['a space at the end', 'Photos ', spaced],
    ['spaces in a row', 'Photos  You return to bank.example', spaced],
    // nothing readable
    ['punctuation alone', '...!', empty],
    ['symbols alone', '★★★', empty],
    ['an emoji alone', '❤\ufe0f', empty],
    // marks
    ['120 combining marks', `a${'\u0301'.repeat(120)}`, piled],
    ['three different marks', 'a\u0301\u0302\u0303', piled],
    ['three enclosing marks', 'a\u20dd\u20de\u20df', piled],
    ['a mark twice', 'a\u0301\u0301', piled],
    ['three Thai marks', 'ก็่้', piled],
    ['a Thai mark twice', 'ก้้', piled],
    ['five Tibetan marks', 'ས\u0f92\u0fb2\u0f74\u0f72\u0f7e', piled],
    ['a mark in front', '\u0301a', piled],
    ['a mark on a space', 'a \u0301b', piled],
    ['a mark on punctuation', 'a(\u0301)', piled],
    ['a mark on an emoji', 'a\u2705\u0301', piled],
  ])('is rejected with %s', (_what, name, problem) => {
    expect(nameProblem(name)).toBe(problem)
  })

  test('is checked under every built-in policy', () => {
    for (const [policy, rules] of Object.entries(builtInPolicies)) {
      const refusal = judge(
        { client_name: 'a\u200bb', redirect_uris: ['https://rp.example/cb'] },
        { policy: { name: policy, rules }, isLoopbackIssuer: false, openScopes: ['openid'] },
      )
      expect(refusal, policy).toMatchObject({ field: 'client_name', message: `client_name: ${unseen}` })
    }
  })
})
