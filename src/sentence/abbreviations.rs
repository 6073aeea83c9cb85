//! Abbreviations and the words that begin sentences, by language.
//!
//! The lists are short on purpose: what is common in running text, not all that a dictionary has. An entry is written
//! without its last dot and without spaces ("z.B" is also "z. B."). One in lower case stands also for itself
//! with a capital in front ("Etc."), one with a capital only for itself: "Sat." is a day, "sat." is not. What is a word,
//! too, is never in `never_ends`. Made for this program, from what each language is taught to
//! write (Duden, Chicago Manual of Style, Lexique des règles typographiques, Ortografía de la RAE).

use super::languages::Table;

pub(super) const NONE: Table =
    Table { never_ends: &[], rarely_ends: &[], often_ends: &[], before_number: &[], starters: &[] };

pub(super) const COMMON: Table = Table {
    never_ends: &["Dr", "Prof", "vs", "e.g", "i.e", "cf", "ca", "Mr", "Mrs", "Ms"],
    rarely_ends: &["St", "Jr", "Sr", "Inc", "Ltd", "Co", "Corp", "al", "Ph.D"],
    often_ends: &["etc", "a.m", "p.m"],
    before_number: &["No", "Nr", "Vol", "Fig", "fig", "p", "pp"],
    starters: &[],
};

pub(super) const ENGLISH: Table = Table {
    never_ends: &[
        "Mx", "Messrs", "Gen", "Col", "Capt", "Lt", "Sgt", "Cpl", "Maj", "Cmdr", "Adm", "Rev", "Fr", "Hon", "Gov",
        "Sen", "Rep", "Pres", "Supt", "Mt", "Ft", "approx", "incl", "resp", "viz", "Drs", "Profs",
    ],
    rarely_ends: &[
        "Ave", "Blvd", "Rd", "Bros", "Dept", "Univ", "Assn", "Esq", "est", "min", "max", "M.D", "B.A", "M.A", "B.Sc",
        "M.Sc", "Mass", "Calif", "Conn", "Wash", "Penn",
    ],
    often_ends: &["A.M", "P.M", "lbs", "oz"],
    before_number: &[
        "Jan", "Feb", "Mar", "Apr", "Jun", "Jul", "Aug", "Sep", "Sept", "Oct", "Nov", "Dec", "Nos", "no", "nos", "Ch",
        "ch", "Sec", "sec", "Art", "art", "Eq", "eq", "vol", "ed", "Pt", "pt", "Figs", "figs",
    ],
    starters: &[
        "The", "It", "He", "She", "We", "They", "You", "I", "This", "That", "These", "Those", "There", "Then", "But",
        "And", "So", "In", "On", "At", "If", "When", "What", "Who", "Why", "How", "My", "Your", "His", "Her", "Our",
        "Their", "After", "Before", "However", "Now", "Yes", "As", "For", "Its", "Both", "Do", "Is", "Let", "Please",
        "While", "Although", "Since", "Because", "Where", "Here", "Today", "Also",
    ],
};

pub(super) const GERMAN: Table = Table {
    never_ends: &[
        "z.B",
        "d.h",
        "i.d.R",
        "v.a",
        "s.o",
        "s.u",
        "z.T",
        "z.Zt",
        "i.A",
        "i.V",
        "m.E",
        "u.U",
        "o.g",
        "sog",
        "bzw",
        "bspw",
        "evtl",
        "ggf",
        "inkl",
        "exkl",
        "zzgl",
        "Hr",
        "Hrn",
        "Fr",
        "Frl",
        "Dipl.-Ing",
        "Ing",
        "Mag",
        "Hl",
        "hl",
        "St",
        "vgl",
        "gem",
        "lt",
        "insb",
        "geb",
        "gest",
        "verh",
        "Tel",
        "zw",
        "ehem",
        "allg",
        "durchschn",
        "eigtl",
        "u.v.a",
    ],
    rarely_ends: &[
        "Str", "str", "Mio", "Mrd", "Tsd", "Std", "Min", "Sek", "Jh", "Jhd", "Jhdt", "Abt", "Chr", "v.Chr", "n.Chr",
        "u.a", "max", "min",
    ],
    often_ends: &["usw", "usf", "u.s.w", "u.ä", "o.ä", "o.Ä", "u.Ä", "u.v.m", "u.a.m", "a.D", "n.C"],
    before_number: &[
        "Nr", "Nrn", "Art", "Abs", "Abb", "Bd", "Kap", "S", "Jan", "Feb", "Mär", "Apr", "Jun", "Jul", "Aug", "Sep",
        "Sept", "Okt", "Nov", "Dez", "Ziff", "Pos", "Tab", "Aufl", "Fn", "Rn",
    ],
    starters: &[
        "Der", "Die", "Das", "Ein", "Eine", "Er", "Sie", "Es", "Wir", "Ihr", "Ich", "Du", "Man", "Dies", "Diese",
        "Dieser", "Dieses", "Dann", "Danach", "Aber", "Und", "Oder", "Doch", "Da", "Dort", "Hier", "In", "Im", "Am",
        "An", "Auf", "Bei", "Mit", "Nach", "Von", "Vor", "Zu", "Als", "Wenn", "Weil", "Was", "Wer", "Wie", "Wo",
        "Warum", "So", "Nun", "Jetzt", "Heute", "Mein", "Meine", "Sein", "Seine", "Ihre", "Unser", "Unsere", "Auch",
        "Nur", "Seit", "Damals", "Später", "Ja", "Nein", "Deshalb", "Daher", "Trotzdem", "Für", "Um", "Alle",
    ],
};

pub(super) const FRENCH: Table = Table {
    never_ends: &[
        "M", "MM", "Mme", "Mmes", "Mlle", "Mlles", "Me", "Mgr", "Pr", "Ste", "c.-à-d", "c.à.d", "p.ex", "env", "av",
        "bd", "éd", "tél", "réf", "apr",
    ],
    rarely_ends: &["ex", "J.-C", "boul", "Cie", "Sté"],
    often_ends: &["h", "min", "sq", "s"],
    before_number: &[
        "n", "no", "art", "chap", "vol", "janv", "févr", "avr", "juil", "sept", "oct", "nov", "déc", "fig",
    ],
    starters: &[
        "Le",
        "La",
        "Les",
        "Un",
        "Une",
        "Des",
        "Il",
        "Elle",
        "Ils",
        "Elles",
        "On",
        "Nous",
        "Vous",
        "Je",
        "Tu",
        "Ce",
        "Cette",
        "Ces",
        "Cet",
        "C",
        "Mais",
        "Et",
        "Ou",
        "Donc",
        "Or",
        "Puis",
        "Alors",
        "En",
        "Dans",
        "Sur",
        "Pour",
        "Avec",
        "Si",
        "Quand",
        "Que",
        "Qui",
        "Où",
        "Comment",
        "Pourquoi",
        "Ensuite",
        "Son",
        "Sa",
        "Ses",
        "Mon",
        "Ma",
        "Notre",
        "Votre",
        "Leur",
        "Aujourd",
        "Ainsi",
        "Cependant",
        "Oui",
        "Non",
        "Après",
        "Avant",
        "À",
    ],
};

pub(super) const SPANISH: Table = Table {
    never_ends: &[
        "Sr", "Sra", "Srta", "Sres", "Sras", "Dra", "Dres", "Profa", "D", "Dña", "EE", "JJ", "Ing", "Lic", "Arq",
        "Sto", "Sta", "Fr", "Excmo", "Ilmo", "p.ej", "ej", "Gral", "Cnel", "Cap", "Tte", "Av", "Avda", "aprox", "tel",
        "Tel", "atte",
    ],
    rarely_ends: &["EE.UU", "JJ.OO", "UU", "OO", "Ud", "Uds", "Vd", "Vds", "Cía", "S.A", "d.C", "a.C"],
    often_ends: &["a.m", "p.m", "pta", "ptas"],
    before_number: &["núm", "Núm", "n", "pág", "Pág", "págs", "art", "Art", "cap", "vol", "fig"],
    starters: &[
        "El", "La", "Los", "Las", "Un", "Una", "Él", "Ella", "Ellos", "Ellas", "Yo", "Tú", "Nosotros", "Usted", "Esto",
        "Este", "Esta", "Eso", "Pero", "Y", "O", "Entonces", "En", "Con", "Por", "Para", "Si", "Cuando", "Que", "Qué",
        "Cómo", "Dónde", "Su", "Sus", "Mi", "Luego", "Después", "Sí", "No", "Hoy", "Se", "Lo", "Es", "También",
        "Ahora", "Al", "Desde",
    ],
};

pub(super) const ITALIAN: Table = Table {
    never_ends: &[
        "Sig", "sig", "Sigg", "Dott", "dott", "Avv", "avv", "Ing", "ing", "Arch", "arch", "Geom", "On", "Gent", "Egr",
        "Spett", "prof", "es", "p.es", "S", "Ss", "tel", "Tel", "cfr", "ecc.mo", "Mons", "Rag",
    ],
    rarely_ends: &["S.p.A", "S.r.l", "a.C", "d.C"],
    often_ends: &["ecc"],
    before_number: &[
        "n", "nn", "pag", "pagg", "art", "Art", "cap", "vol", "fig", "gen", "feb", "apr", "ott", "nov", "dic",
    ],
    starters: &[
        "Il", "Lo", "La", "I", "Gli", "Le", "Un", "Uno", "Una", "Egli", "Ella", "Lui", "Lei", "Loro", "Noi", "Io",
        "Tu", "Questo", "Questa", "Ma", "E", "O", "Poi", "Allora", "In", "Nel", "Con", "Per", "Se", "Quando", "Che",
        "Chi", "Come", "Dove", "Non", "Sì", "No", "Oggi", "Si", "È", "Dopo", "Quindi", "Anche", "Ora",
    ],
};

pub(super) const PORTUGUESE: Table = Table {
    never_ends: &["Sr", "Sra", "Srta", "Srs", "Dra", "Profa", "D", "Eng", "Exmo", "p.ex", "ex", "Av", "tel", "Tel"],
    rarely_ends: &["S.A", "Cia", "Ltda", "a.C", "d.C", "E.U.A"],
    before_number: &["n", "pág", "págs", "art", "cap", "vol", "fig"],
    starters: &[
        "O", "A", "Os", "As", "Um", "Uma", "Ele", "Ela", "Eles", "Elas", "Eu", "Nós", "Você", "Isto", "Este", "Esta",
        "Mas", "E", "Ou", "Então", "Em", "No", "Na", "Com", "Por", "Para", "Se", "Quando", "Que", "Como", "Onde",
        "Não", "Sim", "Hoje", "Depois",
    ],
    ..NONE
};

pub(super) const DUTCH: Table = Table {
    never_ends: &[
        "dhr", "mevr", "mw", "drs", "ir", "mr", "prof", "bijv", "d.w.z", "m.a.w", "o.a", "i.p.v", "t.o.v", "m.b.t",
        "a.u.b", "evt", "incl", "excl", "resp", "St",
    ],
    rarely_ends: &["bv", "BV"],
    often_ends: &["enz", "e.d", "e.a"],
    before_number: &["nr", "blz", "art", "jan", "feb", "apr", "aug", "sept", "okt", "nov", "dec"],
    starters: &[
        "De", "Het", "Een", "Hij", "Zij", "Ze", "We", "Wij", "Ik", "Jij", "Je", "U", "Dit", "Dat", "Deze", "Die",
        "Maar", "En", "Of", "Dan", "In", "Op", "Met", "Als", "Wat", "Wie", "Waar", "Hoe", "Ja", "Nee", "Er", "Toen",
        "Daarna",
    ],
};

pub(super) const RUSSIAN: Table = Table {
    never_ends: &[
        "т.е",
        "т.к",
        "т.н",
        "т.о",
        "ул",
        "просп",
        "пл",
        "пер",
        "проф",
        "акад",
        "доц",
        "св",
        "напр",
        "тов",
        "корп",
        "тел",
        "и.о",
    ],
    rarely_ends: &[
        "им", "см", "ср", "гр", "кв", "обл", "н.э", "гг", "вв", "руб", "коп", "тыс", "млн", "млрд", "чел", "мин", "сек",
    ],
    often_ends: &["т.д", "т.п", "др", "пр", "проч"],
    before_number: &["рис", "табл", "стр", "ст", "гл", "янв", "февр", "апр", "авг", "сент", "окт", "нояб", "дек"],
    starters: &[
        "Он",
        "Она",
        "Оно",
        "Они",
        "Мы",
        "Вы",
        "Я",
        "Ты",
        "Это",
        "Этот",
        "Эта",
        "Эти",
        "В",
        "На",
        "Но",
        "И",
        "А",
        "С",
        "По",
        "За",
        "Из",
        "К",
        "У",
        "О",
        "Не",
        "Да",
        "Нет",
        "Если",
        "Когда",
        "Что",
        "Кто",
        "Как",
        "Где",
        "Почему",
        "Потом",
        "Затем",
        "Тогда",
        "Так",
        "Там",
        "Здесь",
        "Его",
        "Её",
        "Их",
        "Мой",
        "Моя",
        "После",
        "До",
        "Сегодня",
    ],
};

pub(super) const POLISH: Table = Table {
    never_ends: &["np", "tzn", "tj", "ul", "prof", "inż", "mgr", "św", "ks", "m.in", "al", "pl", "dr", "płk", "gen"],
    rarely_ends: &["im", "tys", "mln", "mld", "godz", "zł"],
    often_ends: &["itd", "itp", "in"],
    before_number: &["nr", "str", "art", "ust", "rys", "tab"],
    starters: &[
        "On", "Ona", "Ono", "Oni", "My", "Ja", "Ty", "To", "Ten", "Ta", "W", "Na", "Ale", "I", "A", "Z", "Po", "Nie",
        "Tak", "Jeśli", "Gdy", "Kiedy", "Co", "Kto", "Jak", "Gdzie", "Potem", "Jego", "Jej", "Dziś",
    ],
};

pub(super) const SCANDINAVIAN: Table = Table {
    never_ends: &[
        "t.ex", "bl.a", "dvs", "d.v.s", "s.k", "fr.o.m", "t.o.m", "f.d", "kl", "ca", "jfr", "resp", "inkl", "S:t",
    ],
    often_ends: &["osv", "o.s.v", "m.m", "m.fl", "o.d"],
    before_number: &["nr", "sid", "jan", "feb", "apr", "aug", "sept", "okt", "nov", "dec"],
    starters: &[
        "Den", "Det", "De", "Han", "Hon", "Vi", "Jag", "Du", "Ni", "Men", "Och", "Så", "I", "På", "När", "Om", "Vad",
        "Jeg", "Hun", "Og", "Når", "Hvis", "Da",
    ],
    ..NONE
};

pub(super) const HINDI: Table =
    Table { never_ends: &["डॉ", "श्री", "प्रो", "पं", "सुश्री"], ..NONE };

/// Languages that write "5." for "fifth", in the middle of a sentence and before a capital.
pub(super) const ORDINALS: [&str; 26] = [
    "de", "da", "no", "nb", "nn", "fi", "cs", "sk", "pl", "hu", "hr", "sl", "sr", "bs", "et", "lv", "lt", "tr", "is",
    "fo", "lb", "az", "eu", "mk", "gsw", "nds",
];
