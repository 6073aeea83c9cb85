//! Texts, and the sentences that they are: language, text, sentences with a bar between them.

const EXAMPLES: &[(&str, &str, &str)] = &[
    // What is common to all.
    ("", "", ""),
    ("", " \n\t \n\n ", ""),
    ("", "Hello there. How are you? Fine!", "Hello there. | How are you? | Fine!"),
    ("", "No mark at all", "No mark at all"),
    ("", "One  sentence\twith\nspace.", "One sentence with space."),
    ("", "What?! No way!! Yes.", "What?! | No way!! | Yes."),
    ("", "Really? yes. it is.", "Really? | yes. it is."),
    ("", "Wait... what?", "Wait... what?"),
    ("", "Wait... What?", "Wait... | What?"),
    ("", "Wait… what? Well… Now.", "Wait… what? | Well… | Now."),
    ("", "Wait . . . what? So . . . Now.", "Wait . . . what? | So . . . | Now."),
    ("", "...and then? ... Well.", "...and then? ... | Well."),
    ("", "A blank line\n\nends it. Also\n \n a white one", "A blank line¶ | ends it. | Also¶ | a white one"),
    ("", "One.\n\nTwo.\u{2029}Three.\r\n\r\nFour.", "One.¶ | Two.¶ | Three.¶ | Four."),
    ("", "Pi is 3.14. It is 10.30 now, or 1.000,5.", "Pi is 3.14. | It is 10.30 now, or 1.000,5."),
    (
        "",
        "Open main.rs. See https://example.com/a?b=c.d!e now.",
        "Open main.rs. | See https://example.com/a?b=c.d!e now.",
    ),
    ("", "Ask me@example.co.uk. Get v1.2.3. Done.", "Ask me@example.co.uk. | Get v1.2.3. | Done."),
    ("", "Visit example.com. Then go.", "Visit example.com. | Then go."),
    ("", "It runs on .NET. .NET is old.", "It runs on .NET. | .NET is old."),
    ("", "(A whole one.) Next. (So it is!) End.", "(A whole one.) | Next. | (So it is!) | End."),
    ("", "He came (late!) and left.", "He came (late!) and left."),
    ("", "**Bold.** Then _that._ Plain.", "**Bold.** | Then _that._ | Plain."),
    ("", "Say [[ h@l'oU. W3:ld! ]] now. [[ A. b ]] And.", "Say [[ h@l'oU. W3:ld! ]] now. | [[ A. b ]] And."),
    ("", "Say [[ two  spaces\nhere ]].", "Say [[ two  spaces\nhere ]]."),
    ("", "An open [[ one. Goes on. So.", "An open [[ one. | Goes on. | So."),
    ("", "An open [[ one [[ a. B ]]. So.", "An open [[ one [[ a. B ]]. | So."),
    ("", "An open [[ one.\n\nNot ]] here.", "An open [[ one.¶ | Not ]] here."),
    ("", "1. Milk\n2. Eggs\n3. Bread and\n   butter", "1. Milk | 2. Eggs | 3. Bread and butter"),
    ("", "You need:\n- milk\n- eggs\n* bread", "You need: | - milk | - eggs | * bread"),
    ("", "• One. Two\n• Three\n", "• One. | Two | • Three"),
    ("", "1. Go. No! Yes.", "1. Go. | No! | Yes."),
    (
        "",
        "- An item that is longer than a line of fifty columns, and has no mark\n- Next",
        "- An item that is longer than a line of fifty columns, and has no mark | - Next",
    ),
    (
        "",
        "What follows is longer than a line of fifty columns, so it is not a title:\n- Next",
        "What follows is longer than a line of fifty columns, so it is not a title: | - Next",
    ),
    ("", "• One. Two\nThree", "• One. | Two | Three"),
    ("", "one line\ngoes on\nWith John", "one line goes on With John"),
    ("", "a) This\nb) That", "a) This | b) That"),
    ("", "# A title\nlower goes on\n## Another\nText.", "# A title | lower goes on | ## Another | Text."),
    ("", "Introduction\nThis is it.", "Introduction | This is it."),
    ("", "Dear John,\nThank you for it.", "Dear John, Thank you for it."),
    (
        "",
        "A line that was wrapped at more than fifty columns by\nJohn goes on.",
        "A line that was wrapped at more than fifty columns by John goes on.",
    ),
    (
        "",
        "It was\n- as always -\nlate, and the line before is not a list.",
        "It was | - as always - late, and the line before is not a list.",
    ),
    ("", "Great! 😀 Next one.", "Great! | 😀 Next one."),
    ("", "***\n\nText", "***¶ | Text"),
    ("", "?! Well.", "?! Well."),
    ("", "She lives in CA. Nobody knew.", "She lives in CA. | Nobody knew."),
    ("xx-unknown", "Dr. No. Yes etc. Then.", "Dr. No. | Yes etc. | Then."),
    // English.
    ("en-us", "Dr. Smith met Mr. and Mrs. Jones. They ate.", "Dr. Smith met Mr. and Mrs. Jones. | They ate."),
    ("en", "He said: \"Stop!\" and left.", "He said: \"Stop!\" and left."),
    ("en", "He said: “Stop!” Then he left.", "He said: “Stop!” | Then he left."),
    ("en", "“Go. Now.” “Why?” she asked.", "“Go. | Now.” | “Why?” she asked."),
    ("en", "J. R. R. Tolkien wrote it. C.S. Lewis read it.", "J. R. R. Tolkien wrote it. | C.S. Lewis read it."),
    ("en", "He lives in the U.S. The weather is fine.", "He lives in the U.S. | The weather is fine."),
    ("en", "The U.S. Army and the U.K. are there.", "The U.S. Army and the U.K. are there."),
    ("en", "We sell milk, eggs, etc. Come in.", "We sell milk, eggs, etc. | Come in."),
    (
        "en",
        "Milk, eggs, etc. are sold, e.g. Milka, i.e. Chocolate.",
        "Milk, eggs, etc. are sold, e.g. Milka, i.e. Chocolate.",
    ),
    ("en", "We met at 5 p.m. Everybody came.", "We met at 5 p.m. | Everybody came."),
    ("en", "At 5 p. m. Everybody came at 10 a.m. sharp.", "At 5 p. m. | Everybody came at 10 a.m. sharp."),
    ("en", "See No. 5, Fig. 3 and Vol. IV. No. I will not.", "See No. 5, Fig. 3 and Vol. IV. | No. | I will not."),
    ("en", "On Jan. 5 we sat. Sat. was fine.", "On Jan. 5 we sat. | Sat. was fine."),
    ("en", "St. Peter St. The door. Apple Inc. It is.", "St. Peter St. | The door. | Apple Inc. | It is."),
    ("en", "It was Smith vs. Jones, approx. 20 people.", "It was Smith vs. Jones, approx. 20 people."),
    ("en", "So do I. You too. I. Newton did.", "So do I. | You too. | I. Newton did."),
    ("en", "She has a Ph.D. in it. A Ph.D. It is.", "She has a Ph.D. in it. | A Ph.D. | It is."),
    ("en", "It cost 5. 6 were sold for $3.50 each.", "It cost 5. | 6 were sold for $3.50 each."),
    ("en", "I have an iPhone. iPhones are small.", "I have an iPhone. | iPhones are small."),
    ("en", "Plan A. B. C. Everything.", "Plan A. B. C. Everything."),
    ("en", "It is 5.\n6 is more.", "It is 5. | 6 is more."),
    ("en", "'Yes.' 'No.' (Smith et al. 2020) agreed.", "'Yes.' | 'No.' | (Smith et al. 2020) agreed."),
    ("en", "See it (Smith et al.) Others agree.", "See it (Smith et al.) | Others agree."),
    ("en", "I know Prof… Everybody does.", "I know Prof… | Everybody does."),
    ("en", "He left - quickly! - and came back.", "He left - quickly! - and came back."),
    ("en", "Steps:\n1. Open it. Look.\n2. Close it.", "Steps: | 1. Open it. | Look. | 2. Close it."),
    ("en", "Smith, Jones & Co. & Sons. The end.", "Smith, Jones & Co. & Sons. | The end."),
    // German.
    ("de", "„Halt!“, rief er. „Wer da?“ Niemand.", "„Halt!“, rief er. | „Wer da?“ | Niemand."),
    ("de", "\"Halt!\", rief er.", "\"Halt!\", rief er."),
    ("de", "»Halt!« »Nein!« rief er.", "»Halt!« | »Nein!« rief er."),
    (
        "de-de",
        "Das ist z. B. Äpfel, z.B. Birnen, d. h. Obst. Gut.",
        "Das ist z. B. Äpfel, z.B. Birnen, d. h. Obst. | Gut.",
    ),
    ("de", "Am 5. Mai und im 19. Jahrhundert war er da. So.", "Am 5. Mai und im 19. Jahrhundert war er da. | So."),
    ("de", "Er ist 19. Dann ging er. Es war 1945. Krieg.", "Er ist 19. | Dann ging er. | Es war 1945. | Krieg."),
    ("de", "Am 24.12. Feier, am 5. 6. Ruhe.", "Am 24.12. Feier, am 5. 6. Ruhe."),
    (
        "de",
        "Friedrich II. König von Preußen, Ludwig XIV. Er starb.",
        "Friedrich II. König von Preußen, Ludwig XIV. | Er starb.",
    ),
    (
        "de",
        "Herr Dr. Müller, Frau Prof. Dr. Meier usw. Alle kamen.",
        "Herr Dr. Müller, Frau Prof. Dr. Meier usw. | Alle kamen.",
    ),
    ("de", "Nr. 5, S. 7 und Art. 1 Abs. 2 GG. Das war alles.", "Nr. 5, S. 7 und Art. 1 Abs. 2 GG. | Das war alles."),
    (
        "de",
        "Es kostet 3,5 Mio. Euro. Um 10.30 Uhr i. d. R. Tee.",
        "Es kostet 3,5 Mio. Euro. | Um 10.30 Uhr i. d. R. Tee.",
    ),
    ("de", "Äpfel, Birnen u. Ä. Der Rest bleibt.", "Äpfel, Birnen u. Ä. | Der Rest bleibt."),
    ("de", "Im Jahr 44 v. Chr. Geburt. Caesar starb.", "Im Jahr 44 v. Chr. Geburt. | Caesar starb."),
    (
        "de",
        "Das ist Max. Er kam um 44 v. Chr. Er kam u. a. Mit uns.",
        "Das ist Max. | Er kam um 44 v. Chr. | Er kam u. a. | Mit uns.",
    ),
    ("de", "Obst, z. B. u. Ä. Menschen kamen.", "Obst, z. B. u. Ä. | Menschen kamen."),
    ("de", "Einkauf\nMilch\nEier", "Einkauf | Milch | Eier"),
    // French.
    ("fr", "« Bonjour ! » dit-il. « Ça va ? » Oui.", "« Bonjour ! » dit-il. | « Ça va ? » | Oui."),
    ("fr", "«\u{A0}Bonjour\u{202F}!\u{A0}», dit-elle.", "« Bonjour ! », dit-elle."),
    ("fr", "Vraiment ? ! Oui ! « Non. »", "Vraiment ? ! | Oui ! | « Non. »"),
    ("fr-ca", "M. Dupont et Mme. Durand, c.-à-d. Eux. Fin.", "M. Dupont et Mme. Durand, c.-à-d. Eux. | Fin."),
    ("fr", "J.-C. Dupont, p. ex. Paris, etc. Il part.", "J.-C. Dupont, p. ex. Paris, etc. | Il part."),
    ("fr", "Lisez l'art. 5, p. 12. C'est tout.", "Lisez l'art. 5, p. 12. | C'est tout."),
    ("fr", "— Viens ! — dit-il. — Non !", "— Viens ! — dit-il. | — Non !"),
    // Spanish.
    ("es", "¿Cómo está, Sr. Pérez? ¡Bien! ¿Y la Sra. López?", "¿Cómo está, Sr. Pérez? | ¡Bien! | ¿Y la Sra. López?"),
    ("es", "—¡Vamos! —dijo Juan.\n—Voy.", "—¡Vamos! —dijo Juan. | —Voy."),
    ("es", "Frutas, p. ej. Manzanas, núm. 5, etc. Todo.", "Frutas, p. ej. Manzanas, núm. 5, etc. | Todo."),
    ("es-mx", "Vive en EE. UU. El clima es bueno.", "Vive en EE. UU. | El clima es bueno."),
    // Italian.
    ("it", "Il Sig. Rossi e il Dott. Bianchi, ecc. Tutti.", "Il Sig. Rossi e il Dott. Bianchi, ecc. | Tutti."),
    ("it", "«Ciao!» disse. A pag. 5 c'è l'art. 3. Fine.", "«Ciao!» disse. | A pag. 5 c'è l'art. 3. | Fine."),
    // Russian.
    ("ru", "— Привет! — сказал он. — Как дела?", "— Привет! — сказал он. | — Как дела?"),
    ("ru", "А. С. Пушкин родился в 1799 г. Он поэт.", "А. С. Пушкин родился в 1799 г. | Он поэт."),
    ("ru", "Хлеб, соль и т. д. Вот, т. е. Всё.", "Хлеб, соль и т. д. | Вот, т. е. Всё."),
    ("ru", "Я дал им. Он взял. 5 см. Она ушла.", "Я дал им. | Он взял. | 5 см. | Она ушла."),
    ("ru", "Улица им. Ленина, стр. 5. Да.", "Улица им. Ленина, стр. 5. | Да."),
    // Dutch, Polish, Portuguese, Swedish.
    ("nl", "Dhr. Jansen koopt bijv. Brood enz. Hij betaalt.", "Dhr. Jansen koopt bijv. Brood enz. | Hij betaalt."),
    ("pl", "Np. Warszawa, 5. Maja itd. Koniec.", "Np. Warszawa, 5. Maja itd. | Koniec."),
    ("da", "Den 5. Maj kom han. Han er 19. Så gik han.", "Den 5. Maj kom han. | Han er 19. | Så gik han."),
    ("pt", "O Sr. Silva e a Sra. Costa saíram. Fim.", "O Sr. Silva e a Sra. Costa saíram. | Fim."),
    ("sv", "Frukt, t.ex. Äpplen, o.s.v. Slut.", "Frukt, t.ex. Äpplen, o.s.v. | Slut."),
    // Japanese.
    ("ja", "今日は。元気ですか？はい！そう。", "今日は。 | 元気ですか？ | はい！ | そう。"),
    ("ja", "「行くぞ。」と彼は言った。「はい。」終わり。", "「行くぞ。」と彼は言った。 | 「はい。」 | 終わり。"),
    ("ja", "本当！？ すごい…そうか。", "本当！？ | すごい…そうか。"),
    ("ja", "値は３．１４です。(はい。)次。", "値は３．１４です。 | (はい。) | 次。"),
    // Chinese.
    ("zh", "你好。我是学生！你呢？", "你好。 | 我是学生！ | 你呢？"),
    ("zh-cn", "他说：“你好。”然后走了。", "他说：“你好。” | 然后走了。"),
    ("zh", "你好!我很好?是……不是。", "你好! | 我很好? | 是……不是。"),
    ("zh", "版本3.5很好。见example.com吧。", "版本3.5很好。 | 见example.com吧。"),
    ("zh", "标题\n正文开始。\n1、牛奶\n2、鸡蛋", "标题 | 正文开始。 | 1、牛奶 | 2、鸡蛋"),
    // Korean, Arabic, Urdu, Hindi, Armenian, Georgian, Amharic.
    ("ko", "안녕하세요. 반갑습니다! 네.", "안녕하세요. | 반갑습니다! | 네."),
    ("ar", "كيف حالك؟ بخير. د. أحمد هنا.", "كيف حالك؟ | بخير. | د. أحمد هنا."),
    ("ur", "آپ کیسے ہیں؟ ٹھیک ہوں۔ شکریہ۔", "آپ کیسے ہیں؟ | ٹھیک ہوں۔ | شکریہ۔"),
    ("hi", "नमस्ते। आप कैसे हैं? डॉ. शर्मा ठीक हैं॥", "नमस्ते। | आप कैसे हैं? | डॉ. शर्मा ठीक हैं॥"),
    ("hy", "Բարեւ։ Լավ։", "Բարեւ։ | Լավ։"),
    ("am", "ሰላም። ደህና።", "ሰላም። | ደህና።"),
];

#[test]
fn texts_are_split_as_people_read_them() {
    let mut wrong = Vec::new();
    for (language, text, expected) in EXAMPLES {
        let sentences = super::split(text, language);
        let mark = |ends_paragraph: bool| if ends_paragraph { "¶" } else { "" };
        let shown: Vec<String> =
            sentences.iter().map(|sentence| format!("{}{}", sentence.text, mark(sentence.ends_paragraph))).collect();
        if shown.join(" | ") != *expected {
            wrong.push(format!("{language}: {text:?}\n  {}\n  {expected}", shown.join(" | ")));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), EXAMPLES.len(), wrong.join("\n"));
}
