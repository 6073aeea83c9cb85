//! What is said.

/// Sentences of a text that goes on for minutes.
const MANY: usize = 150;

/// A text that goes on for minutes, of sentences of which no two are alike.
pub(crate) fn long() -> String {
    let sentence = |number: usize| match number % 3 {
        0 => format!("This is sentence {number} of many, and there is nothing new in it."),
        1 => format!("Number {number} is a short one."),
        _ => format!("And then somebody says, for the {number}th time, that it will soon be over; but it is not."),
    };
    (1..=MANY).map(sentence).collect::<Vec<_>>().join(" ")
}

/// How an answer begins that is still being written: its first sentence is there, and its end is certain.
pub(crate) const BEGINNING: &str = "Hello there. How are";

/// What sessions of the soak say: one to four sentences each. Few, for each is heard undisturbed before.
pub(crate) const SMALL_TALK: [&str; 24] = [
    "Hello.",
    "Yes, of course. I can do that for you.",
    "It is half past nine.",
    "The train leaves at 10:45 from platform 3. You should go now. It takes twelve minutes on foot.",
    "I am not sure what you mean. Could you say it again, please?",
    "Dr. Smith will see you at 3.15 p.m. today.",
    "There are three things to do. First, water the plants. Second, feed the cat. Third, sit down and rest.",
    "No!",
    "Well, that depends on how long the recording is, and on how fast the machine is that you have.",
    "She said: \"I will be there.\" And she was.",
    "Take the second street on the left, go on for about two hundred metres, and ask again.",
    "One, two, three, four, five. Six, seven, eight, nine, ten.",
    "The weather tomorrow will be cloudy, with some rain in the afternoon. Take an umbrella.",
    "Grüße aus Köln! That is what the card says.",
    "Wait. Wait a moment. I have to look that up. Here it is.",
    "The sum is $1,204.50, and it is due by the 30th of June.",
    "I have turned on the light in the kitchen. Is there anything else?",
    "To be, or not to be; that is the question that everybody knows, and few can go on from there.",
    "Sorry, I did not get that.",
    "It is a small town by the sea. In winter nobody comes. In summer everybody does. I like it best in May.",
    "Good night. Sleep well.",
    "What is the capital of Australia? It is Canberra, not Sydney.",
    "You have four new messages. The first is from Anna, who asks whether you can call her back this evening.",
    "This sentence is rather long, because it is to be interrupted in its middle now and then, and so it goes on \
     and on, from one clause to the next, until at last it comes to its end.",
];
