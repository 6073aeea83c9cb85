
use builtin;
use str;

set edit:completion:arg-completer[speechctl] = {|@words|
    fn spaces {|n|
        builtin:repeat $n ' ' | str:join ''
    }
    fn cand {|text desc|
        edit:complex-candidate $text &display=$text' '(spaces (- 14 (wcswidth $text)))$desc
    }
    var command = 'speechctl'
    for word $words[1..-1] {
        if (str:has-prefix $word '-') {
            break
        }
        set command = $command';'$word
    }
    var completions = [
        &'speechctl'= {
            cand -q 'Say nothing but results and errors'
            cand --quiet 'Say nothing but results and errors'
            cand -v 'Tell more on stderr; twice tells all'
            cand --verbose 'Tell more on stderr; twice tells all'
            cand -h 'Print help'
            cand --help 'Print help'
            cand -V 'Print version'
            cand --version 'Print version'
            cand tts 'Speak a text into an audio file'
            cand stt 'Write down what is said, in an audio file or into a microphone'
            cand session 'Say lines as they are typed'
            cand voices 'List the voices'
            cand models 'List, pull, check and remove models'
            cand ps 'List the workers of a server'
            cand sessions 'List and recover what servers that died have left behind'
            cand serve 'Run the gRPC service'
            cand doctor 'Find out why speech does not work here'
            cand completions 'Print what makes a shell complete speechctl''s flags'
            cand man 'Write the manual''s pages into a folder'
            cand worker 'Run one engine'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'speechctl;tts'= {
            cand --file 'Read the text from a file'
            cand --voice 'Voice, with a variant if wanted: en-gb, en-us+f3; `speechctl voices` lists them; or the .onnx file of a Piper voice [env: SPEECHCTL_VOICE]'
            cand --region 'Voice by region: a locale (en-GB), a language (pt) or a country (mx); an installed Piper voice goes before espeak''s'
            cand --speed 'Times the normal speed, 0.25 to 4'
            cand --pitch 'Times the normal pitch, 0.5 to 2'
            cand --volume 'Times the normal loudness, 0 to 2'
            cand --lexicon 'Your own pronunciations: lines `WORD = respelling` or `WORD = [[phonemes]]`, in IPA for Piper voices and as espeak writes them for its own; up to 1 MiB'
            cand --speaker 'The name or the number of a speaker, of a voice with several [default: the voice''s own]'
            cand --seed 'What chance is made from; the same seed gives the same samples [default: 0]'
            cand --length-scale 'How long sounds are, 0.1 to 10; `--speed` divides it [default: the voice''s own]'
            cand --noise-scale 'How much the sound varies, 0 to 2 [default: the voice''s own]'
            cand --noise-w 'How much the length of sounds varies, 0 to 2 [default: the voice''s own]'
            cand --sentence-silence 'Silence between sentences, up to 60 [default: 0.2]'
            cand -o 'Where the audio goes; `-` is stdout; with `--jsonl` a folder [default: output.wav]'
            cand --output 'Where the audio goes; `-` is stdout; with `--jsonl` a folder [default: output.wav]'
            cand --device 'Loudspeaker to play on: its id, its name, or a part of it [default: the system''s]'
            cand --format 'Shape of the audio [default: by the name of the file, else wav]'
            cand --sample-rate 'Rate of the audio, 8000 to 192000 [default: the voice''s own]'
            cand --split-sentences 'Write a file for each sentence into this folder, 0001.wav and so on; stdout tells file and text, with a tab between'
            cand --marks 'Write where sentences and words begin to sound, as far as the voice knows, in JSON lines; `-` is stdout'
            cand --server 'Server to talk to: HOST:PORT or unix:PATH [default: the one on 127.0.0.1:50051, else a private one]'
            cand --timeout 'Give up after this time'
            cand --jsonl 'Speak many texts: stdin, or the file, has a JSON object on each line'
            cand --ssml 'The text is SSML, up to 256 KiB'
            cand --pull 'Pull the model or the voice if it is not installed, without asking'
            cand --normalize 'Make each sentence as loud as can be'
            cand --play 'Say it aloud, as it comes, instead of writing it; Ctrl-C is silence'
            cand --list-devices 'List the loudspeakers'
            cand --output-raw 'As piper has it: `-o - --format pcm`'
            cand --no-spawn 'Do not start a private server where none is running'
            cand --json 'Print one JSON document'
            cand -q 'Say nothing but results and errors'
            cand --quiet 'Say nothing but results and errors'
            cand -v 'Tell more on stderr; twice tells all'
            cand --verbose 'Tell more on stderr; twice tells all'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'speechctl;stt'= {
            cand --model 'Model: its name, as `speechctl models` has it; a ggml Whisper model file; or `selftest` [default: the server''s, else the best that is installed for the language]'
            cand --language 'Language that is spoken: a code such as `de`, or `auto`'
            cand --prompt 'Text that the recording goes on from: names, spelling, style'
            cand --temperature 'Randomness, 0 to 1'
            cand --beam 'Candidates of the search, 1 (fastest) to 8 [default: 5]'
            cand --threads 'Threads of the engine [default: the cores, at most 4]'
            cand --raw 'Bare samples without a header: `RATE[,FORMAT][,CHANNELS]`, such as 16000 or 8000,mulaw or 44100,s16le,2'
            cand --offset 'Begin here: seconds, or `[HOURS:]MINUTES:SECONDS`'
            cand --duration 'Transcribe so much: seconds, or `[HOURS:]MINUTES:SECONDS`'
            cand --channel 'One channel, counted from 1, or `all`: each by itself [default: their mix]'
            cand --format 'Shape of the transcript [default: by the name of the file, else text]'
            cand -o 'Write into this file; `-` is stdout'
            cand --output 'Write into this file; `-` is stdout'
            cand --output-dir 'Write a file for each recording into this folder, named like it'
            cand --max-line-length 'Characters of a caption, in srt, vtt and lrc; a longer word stands alone'
            cand --max-words 'Words of a caption, in srt, vtt and lrc'
            cand --device 'Microphone to listen to, by a name or id of `--list-devices` [default: the system''s]'
            cand --until-silence 'End once something was said: after so many seconds of silence behind it, `--until-silence=1.5` [default: those of `--end-silence`]'
            cand --max-duration 'Listen for so long at most'
            cand --start-timeout 'End where nobody has begun to speak for so long, 0.5 to 3600'
            cand --give-up-after 'Wait so long for a server that went away, then save what it did not write down'
            cand --session 'Name of the session, for logs: letters, digits, `_` and `-`, at most 64 [default: the server''s choice]'
            cand --end-silence 'Silence after speech that ends an utterance, 0.1 to 10 [default: 0.8]'
            cand --start-silence 'Silence before any speech after which it is let go of, 0.5 to 30 [default: 2.4]'
            cand --longest 'Longest utterance, 2 to 30; a longer one is cut at its last pause [default: 30]'
            cand --vad-threshold 'How sure to be that somebody speaks, 0.05 to 0.95; raise it where noise is taken for speech'
            cand --shortest-speech 'Shortest sound that counts as speech, up to 1 [default: 0.1]'
            cand --padding 'Audio before speech that is taken with it, up to 2 [default: 0.3]'
            cand --server 'Server to talk to: HOST:PORT or unix:PATH [default: the one on 127.0.0.1:50051, else a private one]'
            cand --timeout 'Give up after this time'
            cand --pull 'Pull the model or the voice if it is not installed, without asking'
            cand --translate 'Write it down in English'
            cand --fast 'Short recordings in about half the time; may change words of which the model is unsure'
            cand --keep-going 'Go on to the next recording when one is wrong; the exit code is that of the first failure'
            cand --words 'Times of single words: in json, jsonl and tsv; as karaoke in vtt and lrc'
            cand --stream 'Write FILE down while it is read, such as a pipe from a recorder'
            cand --realtime 'Read FILE no faster than it was spoken'
            cand --list-devices 'List the microphones, and do nothing else'
            cand --no-partials 'Do not show what is understood while somebody speaks; saves the engine work'
            cand --no-spawn 'Do not start a private server where none is running'
            cand --json 'Print one JSON document'
            cand -q 'Say nothing but results and errors'
            cand --quiet 'Say nothing but results and errors'
            cand -v 'Tell more on stderr; twice tells all'
            cand --verbose 'Tell more on stderr; twice tells all'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'speechctl;session'= {
            cand --voice 'Voice, with a variant if wanted: en-gb, en-us+f3; `speechctl voices` lists them; or the .onnx file of a Piper voice [env: SPEECHCTL_VOICE]'
            cand -m 'Model whose voice it must be: `espeak`, or a Piper voice [default: the one that has the voice]'
            cand --model 'Model whose voice it must be: `espeak`, or a Piper voice [default: the one that has the voice]'
            cand --language 'Language, as in en-GB: the best installed voice for it where none is named, else one that the voice must speak'
            cand --speed 'Times the normal speed, 0.25 to 4'
            cand --speaker 'The name or the number of a speaker, of a Piper voice with several [default: the voice''s own]'
            cand --seed 'What chance is made from; the same seed gives the same samples [default: 0]'
            cand -o 'Write all that is said into one audio file, as fast as it is made, instead of saying it aloud; `-` is stdout'
            cand --output 'Write all that is said into one audio file, as fast as it is made, instead of saying it aloud; `-` is stdout'
            cand --device 'Loudspeaker to play on: its id, its name, or a part of it; `speechctl tts --list-devices` lists them [default: the system''s]'
            cand --format 'Shape of the audio [default: by the name of the file, else wav]'
            cand --server 'Server to talk to: HOST:PORT or unix:PATH [default: the one on 127.0.0.1:50051, else a private one]'
            cand --timeout 'Give up after this time'
            cand --pull 'Pull the model or the voice if it is not installed, without asking'
            cand --no-spawn 'Do not start a private server where none is running'
            cand --json 'Print what happens, one JSON document a line'
            cand -q 'Say nothing but results and errors'
            cand --quiet 'Say nothing but results and errors'
            cand -v 'Tell more on stderr; twice tells all'
            cand --verbose 'Tell more on stderr; twice tells all'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'speechctl;voices'= {
            cand --language 'Only those of a language: `en` also finds en-GB'
            cand --server 'Server to talk to: HOST:PORT or unix:PATH [default: the one on 127.0.0.1:50051, else a private one]'
            cand --timeout 'Give up after this time'
            cand --no-spawn 'Do not start a private server where none is running'
            cand --json 'Print one JSON document'
            cand -q 'Say nothing but results and errors'
            cand --quiet 'Say nothing but results and errors'
            cand -v 'Tell more on stderr; twice tells all'
            cand --verbose 'Tell more on stderr; twice tells all'
            cand -h 'Print help'
            cand --help 'Print help'
        }
        &'speechctl;models'= {
            cand -q 'Say nothing but results and errors'
            cand --quiet 'Say nothing but results and errors'
            cand -v 'Tell more on stderr; twice tells all'
            cand --verbose 'Tell more on stderr; twice tells all'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand list 'List the models that are installed'
            cand pull 'Download models; one that broke off goes on where it was'
            cand remove 'Remove models from this machine'
            cand verify 'Read models from the disk, and see whether they still are what was pulled'
            cand path 'Print where a model''s file is'
            cand import 'Take a model''s file that you have: a ggml Whisper model, or a Piper voice''s .onnx with its .json beside it'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'speechctl;models;list'= {
            cand --language 'Only those that know a language: `en` also finds en-GB'
            cand --available 'List those that could be installed, too'
            cand --json 'Print one JSON document'
            cand -q 'Say nothing but results and errors'
            cand --quiet 'Say nothing but results and errors'
            cand -v 'Tell more on stderr; twice tells all'
            cand --verbose 'Tell more on stderr; twice tells all'
            cand -h 'Print help'
            cand --help 'Print help'
        }
        &'speechctl;models;pull'= {
            cand --force 'Take what comes, also where it differs from what was pulled before'
            cand --json 'Print one JSON document a line, for each thing that happens'
            cand -q 'Say nothing but results and errors'
            cand --quiet 'Say nothing but results and errors'
            cand -v 'Tell more on stderr; twice tells all'
            cand --verbose 'Tell more on stderr; twice tells all'
            cand -h 'Print help'
            cand --help 'Print help'
        }
        &'speechctl;models;remove'= {
            cand --force 'Also one that is in use: who uses it keeps it until it ends'
            cand --partial 'Remove what is left of downloads that broke off'
            cand -q 'Say nothing but results and errors'
            cand --quiet 'Say nothing but results and errors'
            cand -v 'Tell more on stderr; twice tells all'
            cand --verbose 'Tell more on stderr; twice tells all'
            cand -h 'Print help'
            cand --help 'Print help'
        }
        &'speechctl;models;verify'= {
            cand --json 'Print one JSON document'
            cand -q 'Say nothing but results and errors'
            cand --quiet 'Say nothing but results and errors'
            cand -v 'Tell more on stderr; twice tells all'
            cand --verbose 'Tell more on stderr; twice tells all'
            cand -h 'Print help'
            cand --help 'Print help'
        }
        &'speechctl;models;path'= {
            cand -q 'Say nothing but results and errors'
            cand --quiet 'Say nothing but results and errors'
            cand -v 'Tell more on stderr; twice tells all'
            cand --verbose 'Tell more on stderr; twice tells all'
            cand -h 'Print help'
            cand --help 'Print help'
        }
        &'speechctl;models;import'= {
            cand --name 'What to call it [default: the name of the file]'
            cand -q 'Say nothing but results and errors'
            cand --quiet 'Say nothing but results and errors'
            cand -v 'Tell more on stderr; twice tells all'
            cand --verbose 'Tell more on stderr; twice tells all'
            cand -h 'Print help'
            cand --help 'Print help'
        }
        &'speechctl;models;help'= {
            cand list 'List the models that are installed'
            cand pull 'Download models; one that broke off goes on where it was'
            cand remove 'Remove models from this machine'
            cand verify 'Read models from the disk, and see whether they still are what was pulled'
            cand path 'Print where a model''s file is'
            cand import 'Take a model''s file that you have: a ggml Whisper model, or a Piper voice''s .onnx with its .json beside it'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'speechctl;models;help;list'= {
        }
        &'speechctl;models;help;pull'= {
        }
        &'speechctl;models;help;remove'= {
        }
        &'speechctl;models;help;verify'= {
        }
        &'speechctl;models;help;path'= {
        }
        &'speechctl;models;help;import'= {
        }
        &'speechctl;models;help;help'= {
        }
        &'speechctl;ps'= {
            cand --timeout 'Give up after this time'
            cand --server 'Server to ask: HOST:PORT or unix:PATH [default: 127.0.0.1:50051]'
            cand -w 'Show every change as it comes, until Ctrl-C: on a terminal in place, else a line each'
            cand --watch 'Show every change as it comes, until Ctrl-C: on a terminal in place, else a line each'
            cand --no-spawn 'Do not start a private server where none is running'
            cand --json 'Print one JSON document; with `--watch` one a line'
            cand -q 'Say nothing but results and errors'
            cand --quiet 'Say nothing but results and errors'
            cand -v 'Tell more on stderr; twice tells all'
            cand --verbose 'Tell more on stderr; twice tells all'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'speechctl;sessions'= {
            cand -q 'Say nothing but results and errors'
            cand --quiet 'Say nothing but results and errors'
            cand -v 'Tell more on stderr; twice tells all'
            cand --verbose 'Tell more on stderr; twice tells all'
            cand -h 'Print help'
            cand --help 'Print help'
            cand list 'List the sessions that are on the disk'
            cand recover 'Print what was understood of a session, and save the audio that nobody has written down'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'speechctl;sessions;list'= {
            cand --state-folder 'Where to look [default: the folders of all servers, below ~/.local/state/speechctl]'
            cand --json 'Print one JSON document'
            cand -q 'Say nothing but results and errors'
            cand --quiet 'Say nothing but results and errors'
            cand -v 'Tell more on stderr; twice tells all'
            cand --verbose 'Tell more on stderr; twice tells all'
            cand -h 'Print help'
            cand --help 'Print help'
        }
        &'speechctl;sessions;recover'= {
            cand --state-folder 'Where to look [default: the folders of all servers, below ~/.local/state/speechctl]'
            cand -o 'Where to save the audio that nobody has written down [default: ID.wav]'
            cand --output 'Where to save the audio that nobody has written down [default: ID.wav]'
            cand --remove 'Remove the session when all of that is done'
            cand -q 'Say nothing but results and errors'
            cand --quiet 'Say nothing but results and errors'
            cand -v 'Tell more on stderr; twice tells all'
            cand --verbose 'Tell more on stderr; twice tells all'
            cand -h 'Print help'
            cand --help 'Print help'
        }
        &'speechctl;sessions;help'= {
            cand list 'List the sessions that are on the disk'
            cand recover 'Print what was understood of a session, and save the audio that nobody has written down'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'speechctl;sessions;help;list'= {
        }
        &'speechctl;sessions;help;recover'= {
        }
        &'speechctl;sessions;help;help'= {
        }
        &'speechctl;serve'= {
            cand --listen 'Where to listen: HOST:PORT (port 0: the system chooses) or unix:PATH; may be given more than once'
            cand --model 'Recogniser of requests that name none: a model''s name, a ggml model file, or `selftest` [default: the best that is installed for the language]'
            cand --voice 'Voice of requests that name none, or a Piper voice''s .onnx file [default: en-us; with `--worker tts=…`, that worker''s own]'
            cand --lexicon 'Pronunciations: lines `WORD = respelling` or `WORD = [[phonemes]]`; read again when the file changes'
            cand --threads 'Threads of an engine [default: the cores, at most 4]'
            cand --drain-timeout 'How long open calls may take to end after SIGTERM'
            cand --load-timeout 'How long a model may take to load'
            cand --hang-timeout 'How long an engine may work without a sign of life before it is replaced'
            cand --worker 'A worker that somebody else runs: `stt=http://HOST:PORT` or `tts=http://HOST:PORT`, which speaks the contracts in proto/macaw; may be given more than once. The first of each role serves requests that name no model or voice'
            cand --registration 'Let workers dial in here: HOST:PORT (port 0: the system chooses); see `speechctl worker --help`'
            cand --registration-token 'Where to write the token that the next worker to dial in needs; a fresh one is written each time one was used'
            cand --spares 'Start a worker before it is needed, for each model in use, so that the loss of one costs no time: where memory allows, always, or never'
            cand --idle-timeout 'Unload a model that was not used for so long; 0 = never'
            cand --preload 'Load this model before the server is ready, and keep it loaded; may be given more than once'
            cand --max-models 'The most models that are loaded at the same time: for one more, the one goes that was not used for longest and that nobody needs; where there is none, the request is refused; 0 = any number'
            cand --min-residency 'How long a model stays loaded at least, before it may go for another or because it is not used'
            cand --max-loads 'The most models that load at the same time; others wait for their turn [default: half the cores]'
            cand --self-check 'Have a worker that was idle for so long show that its engine works; one that fails is replaced; 0 = never'
            cand --worker-memory 'The most memory that a worker may take, such as 2G; 0 = no limit [default: three quarters of what there is]'
            cand --state-folder 'Where the audio of sessions is kept until it is decided; belongs to one server at a time [default: ~/.local/state/speechctl/ADDRESS]'
            cand --session-wait 'How long a session waits for a client that has gone; then it ends, and lingers'
            cand --linger 'How long the finals of a session that is over are kept for a client that has not got them all'
            cand --session-log 'The most that one session may keep, such as 64M: about half an hour of audio that nobody could decide; at least 4M, and 8M for audio of 48 kHz'
            cand --log-size 'The most that all sessions may keep together'
            cand --log-sync 'When what is kept must have reached the disk: `never`, `finals`, `always`, or every so many seconds, and finals. It matters for power cuts only'
            cand --max-sessions 'The most sessions at the same time; fewer where the machine cannot keep up with them'
            cand --spoken-idle 'How long a spoken session may say nothing and be asked for nothing before it ends'
            cand --max-spoken-sessions 'The most spoken sessions at the same time; fewer where the machine cannot keep up with them'
            cand --insecure 'Let others than this machine connect, unencrypted and unasked'
            cand --pull 'Pull the model or the voice if it is not installed, without asking'
            cand -q 'Say nothing but results and errors'
            cand --quiet 'Say nothing but results and errors'
            cand -v 'Tell more on stderr; twice tells all'
            cand --verbose 'Tell more on stderr; twice tells all'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'speechctl;doctor'= {
            cand --server 'Server that other verbs talk to: HOST:PORT or unix:PATH [default: 127.0.0.1:50051]'
            cand --full 'Compare the digests of models too, which reads all of them'
            cand --online 'Ask the hub whether it answers'
            cand --json 'Print one JSON document'
            cand -q 'Say nothing but results and errors'
            cand --quiet 'Say nothing but results and errors'
            cand -v 'Tell more on stderr; twice tells all'
            cand --verbose 'Tell more on stderr; twice tells all'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'speechctl;completions'= {
            cand -q 'Say nothing but results and errors'
            cand --quiet 'Say nothing but results and errors'
            cand -v 'Tell more on stderr; twice tells all'
            cand --verbose 'Tell more on stderr; twice tells all'
            cand -h 'Print help'
            cand --help 'Print help'
        }
        &'speechctl;man'= {
            cand -q 'Say nothing but results and errors'
            cand --quiet 'Say nothing but results and errors'
            cand -v 'Tell more on stderr; twice tells all'
            cand --verbose 'Tell more on stderr; twice tells all'
            cand -h 'Print help'
            cand --help 'Print help'
        }
        &'speechctl;worker'= {
            cand --engine 'The engine: whisper, espeak or piper'
            cand --model 'What the engine loads: a ggml model file, `selftest`, or a Piper voice''s .onnx file'
            cand --name 'What callers call the model [default: the file''s name without its ending, `selftest`, `espeak`]'
            cand --listen 'Serve any client: HOST:PORT (port 0: the system chooses) or unix:PATH [default: 127.0.0.1:50051 for recognisers, 127.0.0.1:50052 for synthesisers]'
            cand --connect 'Offer this worker to a server''s registration port: HOST:PORT'
            cand --token-file 'File with the token that lets it in; read again before each connection, of which there are as many as it takes. Without it, SPEECHCTL_WORKER_TOKEN in the environment is good for one connection'
            cand --threads 'Threads for a call that names none [default: the cores, at most 4]'
            cand --memory 'Most memory that it may take, such as 512M or 2G; 0 for no limit of its own'
            cand --cache 'Folder for what has to be unpacked'
            cand --parent 'The process that started it, with which it ends'
            cand --insecure 'Let others than this machine connect, unencrypted and unasked'
            cand -q 'Say nothing but results and errors'
            cand --quiet 'Say nothing but results and errors'
            cand -v 'Tell more on stderr; twice tells all'
            cand --verbose 'Tell more on stderr; twice tells all'
            cand -h 'Print help'
            cand --help 'Print help'
        }
        &'speechctl;help'= {
            cand tts 'Speak a text into an audio file'
            cand stt 'Write down what is said, in an audio file or into a microphone'
            cand session 'Say lines as they are typed'
            cand voices 'List the voices'
            cand models 'List, pull, check and remove models'
            cand ps 'List the workers of a server'
            cand sessions 'List and recover what servers that died have left behind'
            cand serve 'Run the gRPC service'
            cand doctor 'Find out why speech does not work here'
            cand completions 'Print what makes a shell complete speechctl''s flags'
            cand man 'Write the manual''s pages into a folder'
            cand worker 'Run one engine'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'speechctl;help;tts'= {
        }
        &'speechctl;help;stt'= {
        }
        &'speechctl;help;session'= {
        }
        &'speechctl;help;voices'= {
        }
        &'speechctl;help;models'= {
            cand list 'List the models that are installed'
            cand pull 'Download models; one that broke off goes on where it was'
            cand remove 'Remove models from this machine'
            cand verify 'Read models from the disk, and see whether they still are what was pulled'
            cand path 'Print where a model''s file is'
            cand import 'Take a model''s file that you have: a ggml Whisper model, or a Piper voice''s .onnx with its .json beside it'
        }
        &'speechctl;help;models;list'= {
        }
        &'speechctl;help;models;pull'= {
        }
        &'speechctl;help;models;remove'= {
        }
        &'speechctl;help;models;verify'= {
        }
        &'speechctl;help;models;path'= {
        }
        &'speechctl;help;models;import'= {
        }
        &'speechctl;help;ps'= {
        }
        &'speechctl;help;sessions'= {
            cand list 'List the sessions that are on the disk'
            cand recover 'Print what was understood of a session, and save the audio that nobody has written down'
        }
        &'speechctl;help;sessions;list'= {
        }
        &'speechctl;help;sessions;recover'= {
        }
        &'speechctl;help;serve'= {
        }
        &'speechctl;help;doctor'= {
        }
        &'speechctl;help;completions'= {
        }
        &'speechctl;help;man'= {
        }
        &'speechctl;help;worker'= {
        }
        &'speechctl;help;help'= {
        }
    ]
    $completions[$command]
}
