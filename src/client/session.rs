//! `speechctl session`: lines are said as they are typed, and commands act on what is being said.
//!
//! `input` says what a line means, and `order` what is done when; `talk` does it, with a session on a server (`call`) and
//! with what is heard (`mouth`), and tells of it (`teller`).

mod args;
mod call;
mod input;
mod manner;
mod mouth;
mod order;
mod talk;
mod teller;

use crate::{
    client::{Context, lines::Lines},
    error::Result,
};
pub(crate) use args::Args;
use manner::Manner;
use mouth::Mouth;
use std::{
    io::{self, IsTerminal},
    sync::Arc,
};
use talk::Talk;
use teller::Teller;

/// Says what is typed.
///
/// # Errors
/// What is wrong with the flags, the voice, the loudspeaker, the file or the server; else of the kind of the first line of
/// a script that failed.
pub(crate) async fn run(args: Args, context: Context) -> Result<()> {
    args.check()?;
    let is_typed = io::stdin().is_terminal();
    let mouth = Mouth::open(&args, &context).await?;
    let (connection, farewell) = context.connect().await?;
    let context = Arc::new(context);
    let may_ask = is_typed && !args.connect.json;
    let begun = talk::begin(Arc::clone(&context), connection.clone(), Manner::of(&args), args.pull, may_ask).await;
    let said = async {
        let session = begun?;
        let teller = Teller::new(context.output, (args.connect.json, args.output.is_some(), is_typed));
        let mut lines = Lines::open((Box::new(io::stdin()), "standard input".to_owned()))?;
        let mut talk =
            Talk::new(Arc::clone(&context), (connection.clone(), session), args.pull, mouth, teller, is_typed);
        let ended = talk.run(&mut lines).await;
        let place = args.output.as_ref().map(|path| path.display().to_string()).filter(|name| name != "-");
        talk.end(ended, place.as_deref()).await
    };
    let said = said.await;
    farewell.say(connection).await;
    said
}
