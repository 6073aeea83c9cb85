# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_speechctl_global_optspecs
    string join \n q/quiet v/verbose h/help V/version
end

function __fish_speechctl_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_speechctl_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_speechctl_using_subcommand
    set -l cmd (__fish_speechctl_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c speechctl -n "__fish_speechctl_needs_command" -s q -l quiet -d 'Say nothing but results and errors'
complete -c speechctl -n "__fish_speechctl_needs_command" -s v -l verbose -d 'Tell more on stderr; twice tells all'
complete -c speechctl -n "__fish_speechctl_needs_command" -s h -l help -d 'Print help'
complete -c speechctl -n "__fish_speechctl_needs_command" -s V -l version -d 'Print version'
complete -c speechctl -n "__fish_speechctl_needs_command" -f -a "tts" -d 'Speak a text into an audio file'
complete -c speechctl -n "__fish_speechctl_needs_command" -f -a "stt" -d 'Write down what is said, in an audio file or into a microphone'
complete -c speechctl -n "__fish_speechctl_needs_command" -f -a "session" -d 'Say lines as they are typed'
complete -c speechctl -n "__fish_speechctl_needs_command" -f -a "voices" -d 'List the voices'
complete -c speechctl -n "__fish_speechctl_needs_command" -f -a "models" -d 'List, pull, check and remove models'
complete -c speechctl -n "__fish_speechctl_needs_command" -f -a "ps" -d 'List the workers of a server'
complete -c speechctl -n "__fish_speechctl_needs_command" -f -a "sessions" -d 'List and recover what servers that died have left behind'
complete -c speechctl -n "__fish_speechctl_needs_command" -f -a "serve" -d 'Run the gRPC service'
complete -c speechctl -n "__fish_speechctl_needs_command" -f -a "doctor" -d 'Find out why speech does not work here'
complete -c speechctl -n "__fish_speechctl_needs_command" -f -a "completions" -d 'Print what makes a shell complete speechctl\'s flags'
complete -c speechctl -n "__fish_speechctl_needs_command" -f -a "man" -d 'Write the manual\'s pages into a folder'
complete -c speechctl -n "__fish_speechctl_needs_command" -f -a "worker" -d 'Run one engine'
complete -c speechctl -n "__fish_speechctl_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c speechctl -n "__fish_speechctl_using_subcommand tts" -l file -d 'Read the text from a file' -r -F
complete -c speechctl -n "__fish_speechctl_using_subcommand tts" -l voice -d 'Voice, with a variant if wanted: en-gb, en-us+f3; `speechctl voices` lists them; or the .onnx file of a Piper voice [env: SPEECHCTL_VOICE]' -r -F
complete -c speechctl -n "__fish_speechctl_using_subcommand tts" -l region -d 'Voice by region: a locale (en-GB), a language (pt) or a country (mx); an installed Piper voice goes before espeak\'s' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand tts" -l speed -d 'Times the normal speed, 0.25 to 4' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand tts" -l pitch -d 'Times the normal pitch, 0.5 to 2' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand tts" -l volume -d 'Times the normal loudness, 0 to 2' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand tts" -l lexicon -d 'Your own pronunciations: lines `WORD = respelling` or `WORD = [[phonemes]]`, in IPA for Piper voices and as espeak writes them for its own; up to 1 MiB' -r -F
complete -c speechctl -n "__fish_speechctl_using_subcommand tts" -l speaker -d 'The name or the number of a speaker, of a voice with several [default: the voice\'s own]' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand tts" -l seed -d 'What chance is made from; the same seed gives the same samples [default: 0]' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand tts" -l length-scale -d 'How long sounds are, 0.1 to 10; `--speed` divides it [default: the voice\'s own]' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand tts" -l noise-scale -d 'How much the sound varies, 0 to 2 [default: the voice\'s own]' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand tts" -l noise-w -d 'How much the length of sounds varies, 0 to 2 [default: the voice\'s own]' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand tts" -l sentence-silence -d 'Silence between sentences, up to 60 [default: 0.2]' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand tts" -s o -l output -d 'Where the audio goes; `-` is stdout; with `--jsonl` a folder [default: output.wav]' -r -F
complete -c speechctl -n "__fish_speechctl_using_subcommand tts" -l device -d 'Loudspeaker to play on: its id, its name, or a part of it [default: the system\'s]' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand tts" -l format -d 'Shape of the audio [default: by the name of the file, else wav]' -r -f -a "wav\t'WAV, 16 bits'
pcm\t'Bare samples: signed 16 bits little-endian'
f32\t'Bare samples: 32-bit floats little-endian'
flac\t'FLAC, without loss'
ogg-opus\t'Opus in Ogg, for speech'"
complete -c speechctl -n "__fish_speechctl_using_subcommand tts" -l sample-rate -d 'Rate of the audio, 8000 to 192000 [default: the voice\'s own]' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand tts" -l split-sentences -d 'Write a file for each sentence into this folder, 0001.wav and so on; stdout tells file and text, with a tab between' -r -f -a "(__fish_complete_directories)"
complete -c speechctl -n "__fish_speechctl_using_subcommand tts" -l marks -d 'Write where sentences and words begin to sound, as far as the voice knows, in JSON lines; `-` is stdout' -r -F
complete -c speechctl -n "__fish_speechctl_using_subcommand tts" -l server -d 'Server to talk to: HOST:PORT or unix:PATH [default: the one on 127.0.0.1:50051, else a private one]' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand tts" -l timeout -d 'Give up after this time' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand tts" -l jsonl -d 'Speak many texts: stdin, or the file, has a JSON object on each line'
complete -c speechctl -n "__fish_speechctl_using_subcommand tts" -l ssml -d 'The text is SSML, up to 256 KiB'
complete -c speechctl -n "__fish_speechctl_using_subcommand tts" -l pull -d 'Pull the model or the voice if it is not installed, without asking'
complete -c speechctl -n "__fish_speechctl_using_subcommand tts" -l normalize -d 'Make each sentence as loud as can be'
complete -c speechctl -n "__fish_speechctl_using_subcommand tts" -l play -d 'Say it aloud, as it comes, instead of writing it; Ctrl-C is silence'
complete -c speechctl -n "__fish_speechctl_using_subcommand tts" -l list-devices -d 'List the loudspeakers'
complete -c speechctl -n "__fish_speechctl_using_subcommand tts" -l output-raw -d 'As piper has it: `-o - --format pcm`'
complete -c speechctl -n "__fish_speechctl_using_subcommand tts" -l no-spawn -d 'Do not start a private server where none is running'
complete -c speechctl -n "__fish_speechctl_using_subcommand tts" -l json -d 'Print one JSON document'
complete -c speechctl -n "__fish_speechctl_using_subcommand tts" -s q -l quiet -d 'Say nothing but results and errors'
complete -c speechctl -n "__fish_speechctl_using_subcommand tts" -s v -l verbose -d 'Tell more on stderr; twice tells all'
complete -c speechctl -n "__fish_speechctl_using_subcommand tts" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c speechctl -n "__fish_speechctl_using_subcommand stt" -l model -d 'Model: its name, as `speechctl models` has it; a ggml Whisper model file; or `selftest` [default: the server\'s, else the best that is installed for the language]' -r -F
complete -c speechctl -n "__fish_speechctl_using_subcommand stt" -l language -d 'Language that is spoken: a code such as `de`, or `auto`' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand stt" -l prompt -d 'Text that the recording goes on from: names, spelling, style' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand stt" -l temperature -d 'Randomness, 0 to 1' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand stt" -l beam -d 'Candidates of the search, 1 (fastest) to 8 [default: 5]' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand stt" -l threads -d 'Threads of the engine [default: the cores, at most 4]' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand stt" -l raw -d 'Bare samples without a header: `RATE[,FORMAT][,CHANNELS]`, such as 16000 or 8000,mulaw or 44100,s16le,2' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand stt" -l offset -d 'Begin here: seconds, or `[HOURS:]MINUTES:SECONDS`' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand stt" -l duration -d 'Transcribe so much: seconds, or `[HOURS:]MINUTES:SECONDS`' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand stt" -l channel -d 'One channel, counted from 1, or `all`: each by itself [default: their mix]' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand stt" -l format -d 'Shape of the transcript [default: by the name of the file, else text]' -r -f -a "text\t'One line for each segment, as soon as it is known'
json\t'One document'
jsonl\t'One JSON document a line: a start, each segment as soon as it is known, an end'
srt\t'SubRip captions'
vtt\t'WebVTT captions'
tsv\t'A table: start and end in milliseconds, text'
lrc\t'Lyrics'"
complete -c speechctl -n "__fish_speechctl_using_subcommand stt" -s o -l output -d 'Write into this file; `-` is stdout' -r -F
complete -c speechctl -n "__fish_speechctl_using_subcommand stt" -l output-dir -d 'Write a file for each recording into this folder, named like it' -r -f -a "(__fish_complete_directories)"
complete -c speechctl -n "__fish_speechctl_using_subcommand stt" -l max-line-length -d 'Characters of a caption, in srt, vtt and lrc; a longer word stands alone' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand stt" -l max-words -d 'Words of a caption, in srt, vtt and lrc' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand stt" -l device -d 'Microphone to listen to, by a name or id of `--list-devices` [default: the system\'s]' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand stt" -l until-silence -d 'End once something was said: after so many seconds of silence behind it, `--until-silence=1.5` [default: those of `--end-silence`]' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand stt" -l max-duration -d 'Listen for so long at most' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand stt" -l start-timeout -d 'End where nobody has begun to speak for so long, 0.5 to 3600' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand stt" -l give-up-after -d 'Wait so long for a server that went away, then save what it did not write down' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand stt" -l session -d 'Name of the session, for logs: letters, digits, `_` and `-`, at most 64 [default: the server\'s choice]' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand stt" -l end-silence -d 'Silence after speech that ends an utterance, 0.1 to 10 [default: 0.8]' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand stt" -l start-silence -d 'Silence before any speech after which it is let go of, 0.5 to 30 [default: 2.4]' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand stt" -l longest -d 'Longest utterance, 2 to 30; a longer one is cut at its last pause [default: 30]' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand stt" -l vad-threshold -d 'How sure to be that somebody speaks, 0.05 to 0.95; raise it where noise is taken for speech' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand stt" -l shortest-speech -d 'Shortest sound that counts as speech, up to 1 [default: 0.1]' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand stt" -l padding -d 'Audio before speech that is taken with it, up to 2 [default: 0.3]' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand stt" -l server -d 'Server to talk to: HOST:PORT or unix:PATH [default: the one on 127.0.0.1:50051, else a private one]' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand stt" -l timeout -d 'Give up after this time' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand stt" -l pull -d 'Pull the model or the voice if it is not installed, without asking'
complete -c speechctl -n "__fish_speechctl_using_subcommand stt" -l translate -d 'Write it down in English'
complete -c speechctl -n "__fish_speechctl_using_subcommand stt" -l fast -d 'Short recordings in about half the time; may change words of which the model is unsure'
complete -c speechctl -n "__fish_speechctl_using_subcommand stt" -l keep-going -d 'Go on to the next recording when one is wrong; the exit code is that of the first failure'
complete -c speechctl -n "__fish_speechctl_using_subcommand stt" -l words -d 'Times of single words: in json, jsonl and tsv; as karaoke in vtt and lrc'
complete -c speechctl -n "__fish_speechctl_using_subcommand stt" -l stream -d 'Write FILE down while it is read, such as a pipe from a recorder'
complete -c speechctl -n "__fish_speechctl_using_subcommand stt" -l realtime -d 'Read FILE no faster than it was spoken'
complete -c speechctl -n "__fish_speechctl_using_subcommand stt" -l list-devices -d 'List the microphones, and do nothing else'
complete -c speechctl -n "__fish_speechctl_using_subcommand stt" -l no-partials -d 'Do not show what is understood while somebody speaks; saves the engine work'
complete -c speechctl -n "__fish_speechctl_using_subcommand stt" -l no-spawn -d 'Do not start a private server where none is running'
complete -c speechctl -n "__fish_speechctl_using_subcommand stt" -l json -d 'Print one JSON document'
complete -c speechctl -n "__fish_speechctl_using_subcommand stt" -s q -l quiet -d 'Say nothing but results and errors'
complete -c speechctl -n "__fish_speechctl_using_subcommand stt" -s v -l verbose -d 'Tell more on stderr; twice tells all'
complete -c speechctl -n "__fish_speechctl_using_subcommand stt" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c speechctl -n "__fish_speechctl_using_subcommand session" -l voice -d 'Voice, with a variant if wanted: en-gb, en-us+f3; `speechctl voices` lists them; or the .onnx file of a Piper voice [env: SPEECHCTL_VOICE]' -r -F
complete -c speechctl -n "__fish_speechctl_using_subcommand session" -s m -l model -d 'Model whose voice it must be: `espeak`, or a Piper voice [default: the one that has the voice]' -r -F
complete -c speechctl -n "__fish_speechctl_using_subcommand session" -l language -d 'Language, as in en-GB: the best installed voice for it where none is named, else one that the voice must speak' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand session" -l speed -d 'Times the normal speed, 0.25 to 4' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand session" -l speaker -d 'The name or the number of a speaker, of a Piper voice with several [default: the voice\'s own]' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand session" -l seed -d 'What chance is made from; the same seed gives the same samples [default: 0]' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand session" -s o -l output -d 'Write all that is said into one audio file, as fast as it is made, instead of saying it aloud; `-` is stdout' -r -F
complete -c speechctl -n "__fish_speechctl_using_subcommand session" -l device -d 'Loudspeaker to play on: its id, its name, or a part of it; `speechctl tts --list-devices` lists them [default: the system\'s]' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand session" -l format -d 'Shape of the audio [default: by the name of the file, else wav]' -r -f -a "wav\t'WAV, 16 bits'
pcm\t'Bare samples: signed 16 bits little-endian'
f32\t'Bare samples: 32-bit floats little-endian'
flac\t'FLAC, without loss'
ogg-opus\t'Opus in Ogg, for speech'"
complete -c speechctl -n "__fish_speechctl_using_subcommand session" -l server -d 'Server to talk to: HOST:PORT or unix:PATH [default: the one on 127.0.0.1:50051, else a private one]' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand session" -l timeout -d 'Give up after this time' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand session" -l pull -d 'Pull the model or the voice if it is not installed, without asking'
complete -c speechctl -n "__fish_speechctl_using_subcommand session" -l no-spawn -d 'Do not start a private server where none is running'
complete -c speechctl -n "__fish_speechctl_using_subcommand session" -l json -d 'Print what happens, one JSON document a line'
complete -c speechctl -n "__fish_speechctl_using_subcommand session" -s q -l quiet -d 'Say nothing but results and errors'
complete -c speechctl -n "__fish_speechctl_using_subcommand session" -s v -l verbose -d 'Tell more on stderr; twice tells all'
complete -c speechctl -n "__fish_speechctl_using_subcommand session" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c speechctl -n "__fish_speechctl_using_subcommand voices" -l language -d 'Only those of a language: `en` also finds en-GB' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand voices" -l server -d 'Server to talk to: HOST:PORT or unix:PATH [default: the one on 127.0.0.1:50051, else a private one]' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand voices" -l timeout -d 'Give up after this time' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand voices" -l no-spawn -d 'Do not start a private server where none is running'
complete -c speechctl -n "__fish_speechctl_using_subcommand voices" -l json -d 'Print one JSON document'
complete -c speechctl -n "__fish_speechctl_using_subcommand voices" -s q -l quiet -d 'Say nothing but results and errors'
complete -c speechctl -n "__fish_speechctl_using_subcommand voices" -s v -l verbose -d 'Tell more on stderr; twice tells all'
complete -c speechctl -n "__fish_speechctl_using_subcommand voices" -s h -l help -d 'Print help'
complete -c speechctl -n "__fish_speechctl_using_subcommand models; and not __fish_seen_subcommand_from list pull remove verify path import help" -s q -l quiet -d 'Say nothing but results and errors'
complete -c speechctl -n "__fish_speechctl_using_subcommand models; and not __fish_seen_subcommand_from list pull remove verify path import help" -s v -l verbose -d 'Tell more on stderr; twice tells all'
complete -c speechctl -n "__fish_speechctl_using_subcommand models; and not __fish_seen_subcommand_from list pull remove verify path import help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c speechctl -n "__fish_speechctl_using_subcommand models; and not __fish_seen_subcommand_from list pull remove verify path import help" -f -a "list" -d 'List the models that are installed'
complete -c speechctl -n "__fish_speechctl_using_subcommand models; and not __fish_seen_subcommand_from list pull remove verify path import help" -f -a "pull" -d 'Download models; one that broke off goes on where it was'
complete -c speechctl -n "__fish_speechctl_using_subcommand models; and not __fish_seen_subcommand_from list pull remove verify path import help" -f -a "remove" -d 'Remove models from this machine'
complete -c speechctl -n "__fish_speechctl_using_subcommand models; and not __fish_seen_subcommand_from list pull remove verify path import help" -f -a "verify" -d 'Read models from the disk, and see whether they still are what was pulled'
complete -c speechctl -n "__fish_speechctl_using_subcommand models; and not __fish_seen_subcommand_from list pull remove verify path import help" -f -a "path" -d 'Print where a model\'s file is'
complete -c speechctl -n "__fish_speechctl_using_subcommand models; and not __fish_seen_subcommand_from list pull remove verify path import help" -f -a "import" -d 'Take a model\'s file that you have: a ggml Whisper model, or a Piper voice\'s .onnx with its .json beside it'
complete -c speechctl -n "__fish_speechctl_using_subcommand models; and not __fish_seen_subcommand_from list pull remove verify path import help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c speechctl -n "__fish_speechctl_using_subcommand models; and __fish_seen_subcommand_from list" -l language -d 'Only those that know a language: `en` also finds en-GB' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand models; and __fish_seen_subcommand_from list" -l available -d 'List those that could be installed, too'
complete -c speechctl -n "__fish_speechctl_using_subcommand models; and __fish_seen_subcommand_from list" -l json -d 'Print one JSON document'
complete -c speechctl -n "__fish_speechctl_using_subcommand models; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Say nothing but results and errors'
complete -c speechctl -n "__fish_speechctl_using_subcommand models; and __fish_seen_subcommand_from list" -s v -l verbose -d 'Tell more on stderr; twice tells all'
complete -c speechctl -n "__fish_speechctl_using_subcommand models; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c speechctl -n "__fish_speechctl_using_subcommand models; and __fish_seen_subcommand_from pull" -l force -d 'Take what comes, also where it differs from what was pulled before'
complete -c speechctl -n "__fish_speechctl_using_subcommand models; and __fish_seen_subcommand_from pull" -l json -d 'Print one JSON document a line, for each thing that happens'
complete -c speechctl -n "__fish_speechctl_using_subcommand models; and __fish_seen_subcommand_from pull" -s q -l quiet -d 'Say nothing but results and errors'
complete -c speechctl -n "__fish_speechctl_using_subcommand models; and __fish_seen_subcommand_from pull" -s v -l verbose -d 'Tell more on stderr; twice tells all'
complete -c speechctl -n "__fish_speechctl_using_subcommand models; and __fish_seen_subcommand_from pull" -s h -l help -d 'Print help'
complete -c speechctl -n "__fish_speechctl_using_subcommand models; and __fish_seen_subcommand_from remove" -l force -d 'Also one that is in use: who uses it keeps it until it ends'
complete -c speechctl -n "__fish_speechctl_using_subcommand models; and __fish_seen_subcommand_from remove" -l partial -d 'Remove what is left of downloads that broke off'
complete -c speechctl -n "__fish_speechctl_using_subcommand models; and __fish_seen_subcommand_from remove" -s q -l quiet -d 'Say nothing but results and errors'
complete -c speechctl -n "__fish_speechctl_using_subcommand models; and __fish_seen_subcommand_from remove" -s v -l verbose -d 'Tell more on stderr; twice tells all'
complete -c speechctl -n "__fish_speechctl_using_subcommand models; and __fish_seen_subcommand_from remove" -s h -l help -d 'Print help'
complete -c speechctl -n "__fish_speechctl_using_subcommand models; and __fish_seen_subcommand_from verify" -l json -d 'Print one JSON document'
complete -c speechctl -n "__fish_speechctl_using_subcommand models; and __fish_seen_subcommand_from verify" -s q -l quiet -d 'Say nothing but results and errors'
complete -c speechctl -n "__fish_speechctl_using_subcommand models; and __fish_seen_subcommand_from verify" -s v -l verbose -d 'Tell more on stderr; twice tells all'
complete -c speechctl -n "__fish_speechctl_using_subcommand models; and __fish_seen_subcommand_from verify" -s h -l help -d 'Print help'
complete -c speechctl -n "__fish_speechctl_using_subcommand models; and __fish_seen_subcommand_from path" -s q -l quiet -d 'Say nothing but results and errors'
complete -c speechctl -n "__fish_speechctl_using_subcommand models; and __fish_seen_subcommand_from path" -s v -l verbose -d 'Tell more on stderr; twice tells all'
complete -c speechctl -n "__fish_speechctl_using_subcommand models; and __fish_seen_subcommand_from path" -s h -l help -d 'Print help'
complete -c speechctl -n "__fish_speechctl_using_subcommand models; and __fish_seen_subcommand_from import" -l name -d 'What to call it [default: the name of the file]' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand models; and __fish_seen_subcommand_from import" -s q -l quiet -d 'Say nothing but results and errors'
complete -c speechctl -n "__fish_speechctl_using_subcommand models; and __fish_seen_subcommand_from import" -s v -l verbose -d 'Tell more on stderr; twice tells all'
complete -c speechctl -n "__fish_speechctl_using_subcommand models; and __fish_seen_subcommand_from import" -s h -l help -d 'Print help'
complete -c speechctl -n "__fish_speechctl_using_subcommand models; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the models that are installed'
complete -c speechctl -n "__fish_speechctl_using_subcommand models; and __fish_seen_subcommand_from help" -f -a "pull" -d 'Download models; one that broke off goes on where it was'
complete -c speechctl -n "__fish_speechctl_using_subcommand models; and __fish_seen_subcommand_from help" -f -a "remove" -d 'Remove models from this machine'
complete -c speechctl -n "__fish_speechctl_using_subcommand models; and __fish_seen_subcommand_from help" -f -a "verify" -d 'Read models from the disk, and see whether they still are what was pulled'
complete -c speechctl -n "__fish_speechctl_using_subcommand models; and __fish_seen_subcommand_from help" -f -a "path" -d 'Print where a model\'s file is'
complete -c speechctl -n "__fish_speechctl_using_subcommand models; and __fish_seen_subcommand_from help" -f -a "import" -d 'Take a model\'s file that you have: a ggml Whisper model, or a Piper voice\'s .onnx with its .json beside it'
complete -c speechctl -n "__fish_speechctl_using_subcommand models; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c speechctl -n "__fish_speechctl_using_subcommand ps" -l timeout -d 'Give up after this time' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand ps" -l server -d 'Server to ask: HOST:PORT or unix:PATH [default: 127.0.0.1:50051]' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand ps" -s w -l watch -d 'Show every change as it comes, until Ctrl-C: on a terminal in place, else a line each'
complete -c speechctl -n "__fish_speechctl_using_subcommand ps" -l no-spawn -d 'Do not start a private server where none is running'
complete -c speechctl -n "__fish_speechctl_using_subcommand ps" -l json -d 'Print one JSON document; with `--watch` one a line'
complete -c speechctl -n "__fish_speechctl_using_subcommand ps" -s q -l quiet -d 'Say nothing but results and errors'
complete -c speechctl -n "__fish_speechctl_using_subcommand ps" -s v -l verbose -d 'Tell more on stderr; twice tells all'
complete -c speechctl -n "__fish_speechctl_using_subcommand ps" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c speechctl -n "__fish_speechctl_using_subcommand sessions; and not __fish_seen_subcommand_from list recover help" -s q -l quiet -d 'Say nothing but results and errors'
complete -c speechctl -n "__fish_speechctl_using_subcommand sessions; and not __fish_seen_subcommand_from list recover help" -s v -l verbose -d 'Tell more on stderr; twice tells all'
complete -c speechctl -n "__fish_speechctl_using_subcommand sessions; and not __fish_seen_subcommand_from list recover help" -s h -l help -d 'Print help'
complete -c speechctl -n "__fish_speechctl_using_subcommand sessions; and not __fish_seen_subcommand_from list recover help" -f -a "list" -d 'List the sessions that are on the disk'
complete -c speechctl -n "__fish_speechctl_using_subcommand sessions; and not __fish_seen_subcommand_from list recover help" -f -a "recover" -d 'Print what was understood of a session, and save the audio that nobody has written down'
complete -c speechctl -n "__fish_speechctl_using_subcommand sessions; and not __fish_seen_subcommand_from list recover help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c speechctl -n "__fish_speechctl_using_subcommand sessions; and __fish_seen_subcommand_from list" -l state-folder -d 'Where to look [default: the folders of all servers, below ~/.local/state/speechctl]' -r -F
complete -c speechctl -n "__fish_speechctl_using_subcommand sessions; and __fish_seen_subcommand_from list" -l json -d 'Print one JSON document'
complete -c speechctl -n "__fish_speechctl_using_subcommand sessions; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Say nothing but results and errors'
complete -c speechctl -n "__fish_speechctl_using_subcommand sessions; and __fish_seen_subcommand_from list" -s v -l verbose -d 'Tell more on stderr; twice tells all'
complete -c speechctl -n "__fish_speechctl_using_subcommand sessions; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c speechctl -n "__fish_speechctl_using_subcommand sessions; and __fish_seen_subcommand_from recover" -l state-folder -d 'Where to look [default: the folders of all servers, below ~/.local/state/speechctl]' -r -F
complete -c speechctl -n "__fish_speechctl_using_subcommand sessions; and __fish_seen_subcommand_from recover" -s o -l output -d 'Where to save the audio that nobody has written down [default: ID.wav]' -r -F
complete -c speechctl -n "__fish_speechctl_using_subcommand sessions; and __fish_seen_subcommand_from recover" -l remove -d 'Remove the session when all of that is done'
complete -c speechctl -n "__fish_speechctl_using_subcommand sessions; and __fish_seen_subcommand_from recover" -s q -l quiet -d 'Say nothing but results and errors'
complete -c speechctl -n "__fish_speechctl_using_subcommand sessions; and __fish_seen_subcommand_from recover" -s v -l verbose -d 'Tell more on stderr; twice tells all'
complete -c speechctl -n "__fish_speechctl_using_subcommand sessions; and __fish_seen_subcommand_from recover" -s h -l help -d 'Print help'
complete -c speechctl -n "__fish_speechctl_using_subcommand sessions; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the sessions that are on the disk'
complete -c speechctl -n "__fish_speechctl_using_subcommand sessions; and __fish_seen_subcommand_from help" -f -a "recover" -d 'Print what was understood of a session, and save the audio that nobody has written down'
complete -c speechctl -n "__fish_speechctl_using_subcommand sessions; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c speechctl -n "__fish_speechctl_using_subcommand serve" -l listen -d 'Where to listen: HOST:PORT (port 0: the system chooses) or unix:PATH; may be given more than once' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand serve" -l model -d 'Recogniser of requests that name none: a model\'s name, a ggml model file, or `selftest` [default: the best that is installed for the language]' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand serve" -l voice -d 'Voice of requests that name none, or a Piper voice\'s .onnx file [default: en-us; with `--worker tts=…`, that worker\'s own]' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand serve" -l lexicon -d 'Pronunciations: lines `WORD = respelling` or `WORD = [[phonemes]]`; read again when the file changes' -r -F
complete -c speechctl -n "__fish_speechctl_using_subcommand serve" -l threads -d 'Threads of an engine [default: the cores, at most 4]' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand serve" -l drain-timeout -d 'How long open calls may take to end after SIGTERM' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand serve" -l load-timeout -d 'How long a model may take to load' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand serve" -l hang-timeout -d 'How long an engine may work without a sign of life before it is replaced' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand serve" -l worker -d 'A worker that somebody else runs: `stt=http://HOST:PORT` or `tts=http://HOST:PORT`, which speaks the contracts in proto/macaw; may be given more than once. The first of each role serves requests that name no model or voice' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand serve" -l registration -d 'Let workers dial in here: HOST:PORT (port 0: the system chooses); see `speechctl worker --help`' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand serve" -l registration-token -d 'Where to write the token that the next worker to dial in needs; a fresh one is written each time one was used' -r -F
complete -c speechctl -n "__fish_speechctl_using_subcommand serve" -l spares -d 'Start a worker before it is needed, for each model in use, so that the loss of one costs no time: where memory allows, always, or never' -r -f -a "auto\t'Where memory allows'
always\t'Always'
never\t'Never'"
complete -c speechctl -n "__fish_speechctl_using_subcommand serve" -l idle-timeout -d 'Unload a model that was not used for so long; 0 = never' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand serve" -l preload -d 'Load this model before the server is ready, and keep it loaded; may be given more than once' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand serve" -l max-models -d 'The most models that are loaded at the same time: for one more, the one goes that was not used for longest and that nobody needs; where there is none, the request is refused; 0 = any number' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand serve" -l min-residency -d 'How long a model stays loaded at least, before it may go for another or because it is not used' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand serve" -l max-loads -d 'The most models that load at the same time; others wait for their turn [default: half the cores]' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand serve" -l self-check -d 'Have a worker that was idle for so long show that its engine works; one that fails is replaced; 0 = never' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand serve" -l worker-memory -d 'The most memory that a worker may take, such as 2G; 0 = no limit [default: three quarters of what there is]' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand serve" -l state-folder -d 'Where the audio of sessions is kept until it is decided; belongs to one server at a time [default: ~/.local/state/speechctl/ADDRESS]' -r -F
complete -c speechctl -n "__fish_speechctl_using_subcommand serve" -l session-wait -d 'How long a session waits for a client that has gone; then it ends, and lingers' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand serve" -l linger -d 'How long the finals of a session that is over are kept for a client that has not got them all' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand serve" -l session-log -d 'The most that one session may keep, such as 64M: about half an hour of audio that nobody could decide; at least 4M, and 8M for audio of 48 kHz' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand serve" -l log-size -d 'The most that all sessions may keep together' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand serve" -l log-sync -d 'When what is kept must have reached the disk: `never`, `finals`, `always`, or every so many seconds, and finals. It matters for power cuts only' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand serve" -l max-sessions -d 'The most sessions at the same time; fewer where the machine cannot keep up with them' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand serve" -l spoken-idle -d 'How long a spoken session may say nothing and be asked for nothing before it ends' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand serve" -l max-spoken-sessions -d 'The most spoken sessions at the same time; fewer where the machine cannot keep up with them' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand serve" -l insecure -d 'Let others than this machine connect, unencrypted and unasked'
complete -c speechctl -n "__fish_speechctl_using_subcommand serve" -l pull -d 'Pull the model or the voice if it is not installed, without asking'
complete -c speechctl -n "__fish_speechctl_using_subcommand serve" -s q -l quiet -d 'Say nothing but results and errors'
complete -c speechctl -n "__fish_speechctl_using_subcommand serve" -s v -l verbose -d 'Tell more on stderr; twice tells all'
complete -c speechctl -n "__fish_speechctl_using_subcommand serve" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c speechctl -n "__fish_speechctl_using_subcommand doctor" -l server -d 'Server that other verbs talk to: HOST:PORT or unix:PATH [default: 127.0.0.1:50051]' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand doctor" -l full -d 'Compare the digests of models too, which reads all of them'
complete -c speechctl -n "__fish_speechctl_using_subcommand doctor" -l online -d 'Ask the hub whether it answers'
complete -c speechctl -n "__fish_speechctl_using_subcommand doctor" -l json -d 'Print one JSON document'
complete -c speechctl -n "__fish_speechctl_using_subcommand doctor" -s q -l quiet -d 'Say nothing but results and errors'
complete -c speechctl -n "__fish_speechctl_using_subcommand doctor" -s v -l verbose -d 'Tell more on stderr; twice tells all'
complete -c speechctl -n "__fish_speechctl_using_subcommand doctor" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c speechctl -n "__fish_speechctl_using_subcommand completions" -s q -l quiet -d 'Say nothing but results and errors'
complete -c speechctl -n "__fish_speechctl_using_subcommand completions" -s v -l verbose -d 'Tell more on stderr; twice tells all'
complete -c speechctl -n "__fish_speechctl_using_subcommand completions" -s h -l help -d 'Print help'
complete -c speechctl -n "__fish_speechctl_using_subcommand man" -s q -l quiet -d 'Say nothing but results and errors'
complete -c speechctl -n "__fish_speechctl_using_subcommand man" -s v -l verbose -d 'Tell more on stderr; twice tells all'
complete -c speechctl -n "__fish_speechctl_using_subcommand man" -s h -l help -d 'Print help'
complete -c speechctl -n "__fish_speechctl_using_subcommand worker" -l engine -d 'The engine: whisper, espeak or piper' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand worker" -l model -d 'What the engine loads: a ggml model file, `selftest`, or a Piper voice\'s .onnx file' -r -F
complete -c speechctl -n "__fish_speechctl_using_subcommand worker" -l name -d 'What callers call the model [default: the file\'s name without its ending, `selftest`, `espeak`]' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand worker" -l listen -d 'Serve any client: HOST:PORT (port 0: the system chooses) or unix:PATH [default: 127.0.0.1:50051 for recognisers, 127.0.0.1:50052 for synthesisers]' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand worker" -l connect -d 'Offer this worker to a server\'s registration port: HOST:PORT' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand worker" -l token-file -d 'File with the token that lets it in; read again before each connection, of which there are as many as it takes. Without it, SPEECHCTL_WORKER_TOKEN in the environment is good for one connection' -r -F
complete -c speechctl -n "__fish_speechctl_using_subcommand worker" -l threads -d 'Threads for a call that names none [default: the cores, at most 4]' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand worker" -l memory -d 'Most memory that it may take, such as 512M or 2G; 0 for no limit of its own' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand worker" -l cache -d 'Folder for what has to be unpacked' -r -F
complete -c speechctl -n "__fish_speechctl_using_subcommand worker" -l parent -d 'The process that started it, with which it ends' -r
complete -c speechctl -n "__fish_speechctl_using_subcommand worker" -l insecure -d 'Let others than this machine connect, unencrypted and unasked'
complete -c speechctl -n "__fish_speechctl_using_subcommand worker" -s q -l quiet -d 'Say nothing but results and errors'
complete -c speechctl -n "__fish_speechctl_using_subcommand worker" -s v -l verbose -d 'Tell more on stderr; twice tells all'
complete -c speechctl -n "__fish_speechctl_using_subcommand worker" -s h -l help -d 'Print help'
complete -c speechctl -n "__fish_speechctl_using_subcommand help; and not __fish_seen_subcommand_from tts stt session voices models ps sessions serve doctor completions man worker help" -f -a "tts" -d 'Speak a text into an audio file'
complete -c speechctl -n "__fish_speechctl_using_subcommand help; and not __fish_seen_subcommand_from tts stt session voices models ps sessions serve doctor completions man worker help" -f -a "stt" -d 'Write down what is said, in an audio file or into a microphone'
complete -c speechctl -n "__fish_speechctl_using_subcommand help; and not __fish_seen_subcommand_from tts stt session voices models ps sessions serve doctor completions man worker help" -f -a "session" -d 'Say lines as they are typed'
complete -c speechctl -n "__fish_speechctl_using_subcommand help; and not __fish_seen_subcommand_from tts stt session voices models ps sessions serve doctor completions man worker help" -f -a "voices" -d 'List the voices'
complete -c speechctl -n "__fish_speechctl_using_subcommand help; and not __fish_seen_subcommand_from tts stt session voices models ps sessions serve doctor completions man worker help" -f -a "models" -d 'List, pull, check and remove models'
complete -c speechctl -n "__fish_speechctl_using_subcommand help; and not __fish_seen_subcommand_from tts stt session voices models ps sessions serve doctor completions man worker help" -f -a "ps" -d 'List the workers of a server'
complete -c speechctl -n "__fish_speechctl_using_subcommand help; and not __fish_seen_subcommand_from tts stt session voices models ps sessions serve doctor completions man worker help" -f -a "sessions" -d 'List and recover what servers that died have left behind'
complete -c speechctl -n "__fish_speechctl_using_subcommand help; and not __fish_seen_subcommand_from tts stt session voices models ps sessions serve doctor completions man worker help" -f -a "serve" -d 'Run the gRPC service'
complete -c speechctl -n "__fish_speechctl_using_subcommand help; and not __fish_seen_subcommand_from tts stt session voices models ps sessions serve doctor completions man worker help" -f -a "doctor" -d 'Find out why speech does not work here'
complete -c speechctl -n "__fish_speechctl_using_subcommand help; and not __fish_seen_subcommand_from tts stt session voices models ps sessions serve doctor completions man worker help" -f -a "completions" -d 'Print what makes a shell complete speechctl\'s flags'
complete -c speechctl -n "__fish_speechctl_using_subcommand help; and not __fish_seen_subcommand_from tts stt session voices models ps sessions serve doctor completions man worker help" -f -a "man" -d 'Write the manual\'s pages into a folder'
complete -c speechctl -n "__fish_speechctl_using_subcommand help; and not __fish_seen_subcommand_from tts stt session voices models ps sessions serve doctor completions man worker help" -f -a "worker" -d 'Run one engine'
complete -c speechctl -n "__fish_speechctl_using_subcommand help; and not __fish_seen_subcommand_from tts stt session voices models ps sessions serve doctor completions man worker help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c speechctl -n "__fish_speechctl_using_subcommand help; and __fish_seen_subcommand_from models" -f -a "list" -d 'List the models that are installed'
complete -c speechctl -n "__fish_speechctl_using_subcommand help; and __fish_seen_subcommand_from models" -f -a "pull" -d 'Download models; one that broke off goes on where it was'
complete -c speechctl -n "__fish_speechctl_using_subcommand help; and __fish_seen_subcommand_from models" -f -a "remove" -d 'Remove models from this machine'
complete -c speechctl -n "__fish_speechctl_using_subcommand help; and __fish_seen_subcommand_from models" -f -a "verify" -d 'Read models from the disk, and see whether they still are what was pulled'
complete -c speechctl -n "__fish_speechctl_using_subcommand help; and __fish_seen_subcommand_from models" -f -a "path" -d 'Print where a model\'s file is'
complete -c speechctl -n "__fish_speechctl_using_subcommand help; and __fish_seen_subcommand_from models" -f -a "import" -d 'Take a model\'s file that you have: a ggml Whisper model, or a Piper voice\'s .onnx with its .json beside it'
complete -c speechctl -n "__fish_speechctl_using_subcommand help; and __fish_seen_subcommand_from sessions" -f -a "list" -d 'List the sessions that are on the disk'
complete -c speechctl -n "__fish_speechctl_using_subcommand help; and __fish_seen_subcommand_from sessions" -f -a "recover" -d 'Print what was understood of a session, and save the audio that nobody has written down'
