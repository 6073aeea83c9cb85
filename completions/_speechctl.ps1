
using namespace System.Management.Automation
using namespace System.Management.Automation.Language

Register-ArgumentCompleter -Native -CommandName 'speechctl' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)

    $commandElements = $commandAst.CommandElements
    $command = @(
        'speechctl'
        for ($i = 1; $i -lt $commandElements.Count; $i++) {
            $element = $commandElements[$i]
            if ($element -isnot [StringConstantExpressionAst] -or
                $element.StringConstantType -ne [StringConstantType]::BareWord -or
                $element.Value.StartsWith('-') -or
                $element.Value -eq $wordToComplete) {
                break
        }
        $element.Value
    }) -join ';'

    $completions = @(switch ($command) {
        'speechctl' {
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing but results and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing but results and errors')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Tell more on stderr; twice tells all')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Tell more on stderr; twice tells all')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('tts', 'tts', [CompletionResultType]::ParameterValue, 'Speak a text into an audio file')
            [CompletionResult]::new('stt', 'stt', [CompletionResultType]::ParameterValue, 'Write down what is said, in an audio file or into a microphone')
            [CompletionResult]::new('session', 'session', [CompletionResultType]::ParameterValue, 'Say lines as they are typed')
            [CompletionResult]::new('voices', 'voices', [CompletionResultType]::ParameterValue, 'List the voices')
            [CompletionResult]::new('models', 'models', [CompletionResultType]::ParameterValue, 'List, pull, check and remove models')
            [CompletionResult]::new('ps', 'ps', [CompletionResultType]::ParameterValue, 'List the workers of a server')
            [CompletionResult]::new('sessions', 'sessions', [CompletionResultType]::ParameterValue, 'List and recover what servers that died have left behind')
            [CompletionResult]::new('serve', 'serve', [CompletionResultType]::ParameterValue, 'Run the gRPC service')
            [CompletionResult]::new('doctor', 'doctor', [CompletionResultType]::ParameterValue, 'Find out why speech does not work here')
            [CompletionResult]::new('completions', 'completions', [CompletionResultType]::ParameterValue, 'Print what makes a shell complete speechctl''s flags')
            [CompletionResult]::new('man', 'man', [CompletionResultType]::ParameterValue, 'Write the manual''s pages into a folder')
            [CompletionResult]::new('worker', 'worker', [CompletionResultType]::ParameterValue, 'Run one engine')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'speechctl;tts' {
            [CompletionResult]::new('--file', '--file', [CompletionResultType]::ParameterName, 'Read the text from a file')
            [CompletionResult]::new('--voice', '--voice', [CompletionResultType]::ParameterName, 'Voice, with a variant if wanted: en-gb, en-us+f3; `speechctl voices` lists them; or the .onnx file of a Piper voice [env: SPEECHCTL_VOICE]')
            [CompletionResult]::new('--region', '--region', [CompletionResultType]::ParameterName, 'Voice by region: a locale (en-GB), a language (pt) or a country (mx); an installed Piper voice goes before espeak''s')
            [CompletionResult]::new('--speed', '--speed', [CompletionResultType]::ParameterName, 'Times the normal speed, 0.25 to 4')
            [CompletionResult]::new('--pitch', '--pitch', [CompletionResultType]::ParameterName, 'Times the normal pitch, 0.5 to 2')
            [CompletionResult]::new('--volume', '--volume', [CompletionResultType]::ParameterName, 'Times the normal loudness, 0 to 2')
            [CompletionResult]::new('--lexicon', '--lexicon', [CompletionResultType]::ParameterName, 'Your own pronunciations: lines `WORD = respelling` or `WORD = [[phonemes]]`, in IPA for Piper voices and as espeak writes them for its own; up to 1 MiB')
            [CompletionResult]::new('--speaker', '--speaker', [CompletionResultType]::ParameterName, 'The name or the number of a speaker, of a voice with several [default: the voice''s own]')
            [CompletionResult]::new('--seed', '--seed', [CompletionResultType]::ParameterName, 'What chance is made from; the same seed gives the same samples [default: 0]')
            [CompletionResult]::new('--length-scale', '--length-scale', [CompletionResultType]::ParameterName, 'How long sounds are, 0.1 to 10; `--speed` divides it [default: the voice''s own]')
            [CompletionResult]::new('--noise-scale', '--noise-scale', [CompletionResultType]::ParameterName, 'How much the sound varies, 0 to 2 [default: the voice''s own]')
            [CompletionResult]::new('--noise-w', '--noise-w', [CompletionResultType]::ParameterName, 'How much the length of sounds varies, 0 to 2 [default: the voice''s own]')
            [CompletionResult]::new('--sentence-silence', '--sentence-silence', [CompletionResultType]::ParameterName, 'Silence between sentences, up to 60 [default: 0.2]')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'Where the audio goes; `-` is stdout; with `--jsonl` a folder [default: output.wav]')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'Where the audio goes; `-` is stdout; with `--jsonl` a folder [default: output.wav]')
            [CompletionResult]::new('--device', '--device', [CompletionResultType]::ParameterName, 'Loudspeaker to play on: its id, its name, or a part of it [default: the system''s]')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Shape of the audio [default: by the name of the file, else wav]')
            [CompletionResult]::new('--sample-rate', '--sample-rate', [CompletionResultType]::ParameterName, 'Rate of the audio, 8000 to 192000 [default: the voice''s own]')
            [CompletionResult]::new('--split-sentences', '--split-sentences', [CompletionResultType]::ParameterName, 'Write a file for each sentence into this folder, 0001.wav and so on; stdout tells file and text, with a tab between')
            [CompletionResult]::new('--marks', '--marks', [CompletionResultType]::ParameterName, 'Write where sentences and words begin to sound, as far as the voice knows, in JSON lines; `-` is stdout')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Server to talk to: HOST:PORT or unix:PATH [default: the one on 127.0.0.1:50051, else a private one]')
            [CompletionResult]::new('--timeout', '--timeout', [CompletionResultType]::ParameterName, 'Give up after this time')
            [CompletionResult]::new('--jsonl', '--jsonl', [CompletionResultType]::ParameterName, 'Speak many texts: stdin, or the file, has a JSON object on each line')
            [CompletionResult]::new('--ssml', '--ssml', [CompletionResultType]::ParameterName, 'The text is SSML, up to 256 KiB')
            [CompletionResult]::new('--pull', '--pull', [CompletionResultType]::ParameterName, 'Pull the model or the voice if it is not installed, without asking')
            [CompletionResult]::new('--normalize', '--normalize', [CompletionResultType]::ParameterName, 'Make each sentence as loud as can be')
            [CompletionResult]::new('--play', '--play', [CompletionResultType]::ParameterName, 'Say it aloud, as it comes, instead of writing it; Ctrl-C is silence')
            [CompletionResult]::new('--list-devices', '--list-devices', [CompletionResultType]::ParameterName, 'List the loudspeakers')
            [CompletionResult]::new('--output-raw', '--output-raw', [CompletionResultType]::ParameterName, 'As piper has it: `-o - --format pcm`')
            [CompletionResult]::new('--no-spawn', '--no-spawn', [CompletionResultType]::ParameterName, 'Do not start a private server where none is running')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print one JSON document')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing but results and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing but results and errors')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Tell more on stderr; twice tells all')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Tell more on stderr; twice tells all')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'speechctl;stt' {
            [CompletionResult]::new('--model', '--model', [CompletionResultType]::ParameterName, 'Model: its name, as `speechctl models` has it; a ggml Whisper model file; or `selftest` [default: the server''s, else the best that is installed for the language]')
            [CompletionResult]::new('--language', '--language', [CompletionResultType]::ParameterName, 'Language that is spoken: a code such as `de`, or `auto`')
            [CompletionResult]::new('--prompt', '--prompt', [CompletionResultType]::ParameterName, 'Text that the recording goes on from: names, spelling, style')
            [CompletionResult]::new('--temperature', '--temperature', [CompletionResultType]::ParameterName, 'Randomness, 0 to 1')
            [CompletionResult]::new('--beam', '--beam', [CompletionResultType]::ParameterName, 'Candidates of the search, 1 (fastest) to 8 [default: 5]')
            [CompletionResult]::new('--threads', '--threads', [CompletionResultType]::ParameterName, 'Threads of the engine [default: the cores, at most 4]')
            [CompletionResult]::new('--raw', '--raw', [CompletionResultType]::ParameterName, 'Bare samples without a header: `RATE[,FORMAT][,CHANNELS]`, such as 16000 or 8000,mulaw or 44100,s16le,2')
            [CompletionResult]::new('--offset', '--offset', [CompletionResultType]::ParameterName, 'Begin here: seconds, or `[HOURS:]MINUTES:SECONDS`')
            [CompletionResult]::new('--duration', '--duration', [CompletionResultType]::ParameterName, 'Transcribe so much: seconds, or `[HOURS:]MINUTES:SECONDS`')
            [CompletionResult]::new('--channel', '--channel', [CompletionResultType]::ParameterName, 'One channel, counted from 1, or `all`: each by itself [default: their mix]')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Shape of the transcript [default: by the name of the file, else text]')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'Write into this file; `-` is stdout')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'Write into this file; `-` is stdout')
            [CompletionResult]::new('--output-dir', '--output-dir', [CompletionResultType]::ParameterName, 'Write a file for each recording into this folder, named like it')
            [CompletionResult]::new('--max-line-length', '--max-line-length', [CompletionResultType]::ParameterName, 'Characters of a caption, in srt, vtt and lrc; a longer word stands alone')
            [CompletionResult]::new('--max-words', '--max-words', [CompletionResultType]::ParameterName, 'Words of a caption, in srt, vtt and lrc')
            [CompletionResult]::new('--device', '--device', [CompletionResultType]::ParameterName, 'Microphone to listen to, by a name or id of `--list-devices` [default: the system''s]')
            [CompletionResult]::new('--until-silence', '--until-silence', [CompletionResultType]::ParameterName, 'End once something was said: after so many seconds of silence behind it, `--until-silence=1.5` [default: those of `--end-silence`]')
            [CompletionResult]::new('--max-duration', '--max-duration', [CompletionResultType]::ParameterName, 'Listen for so long at most')
            [CompletionResult]::new('--start-timeout', '--start-timeout', [CompletionResultType]::ParameterName, 'End where nobody has begun to speak for so long, 0.5 to 3600')
            [CompletionResult]::new('--give-up-after', '--give-up-after', [CompletionResultType]::ParameterName, 'Wait so long for a server that went away, then save what it did not write down')
            [CompletionResult]::new('--session', '--session', [CompletionResultType]::ParameterName, 'Name of the session, for logs: letters, digits, `_` and `-`, at most 64 [default: the server''s choice]')
            [CompletionResult]::new('--end-silence', '--end-silence', [CompletionResultType]::ParameterName, 'Silence after speech that ends an utterance, 0.1 to 10 [default: 0.8]')
            [CompletionResult]::new('--start-silence', '--start-silence', [CompletionResultType]::ParameterName, 'Silence before any speech after which it is let go of, 0.5 to 30 [default: 2.4]')
            [CompletionResult]::new('--longest', '--longest', [CompletionResultType]::ParameterName, 'Longest utterance, 2 to 30; a longer one is cut at its last pause [default: 30]')
            [CompletionResult]::new('--vad-threshold', '--vad-threshold', [CompletionResultType]::ParameterName, 'How sure to be that somebody speaks, 0.05 to 0.95; raise it where noise is taken for speech')
            [CompletionResult]::new('--shortest-speech', '--shortest-speech', [CompletionResultType]::ParameterName, 'Shortest sound that counts as speech, up to 1 [default: 0.1]')
            [CompletionResult]::new('--padding', '--padding', [CompletionResultType]::ParameterName, 'Audio before speech that is taken with it, up to 2 [default: 0.3]')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Server to talk to: HOST:PORT or unix:PATH [default: the one on 127.0.0.1:50051, else a private one]')
            [CompletionResult]::new('--timeout', '--timeout', [CompletionResultType]::ParameterName, 'Give up after this time')
            [CompletionResult]::new('--pull', '--pull', [CompletionResultType]::ParameterName, 'Pull the model or the voice if it is not installed, without asking')
            [CompletionResult]::new('--translate', '--translate', [CompletionResultType]::ParameterName, 'Write it down in English')
            [CompletionResult]::new('--fast', '--fast', [CompletionResultType]::ParameterName, 'Short recordings in about half the time; may change words of which the model is unsure')
            [CompletionResult]::new('--keep-going', '--keep-going', [CompletionResultType]::ParameterName, 'Go on to the next recording when one is wrong; the exit code is that of the first failure')
            [CompletionResult]::new('--words', '--words', [CompletionResultType]::ParameterName, 'Times of single words: in json, jsonl and tsv; as karaoke in vtt and lrc')
            [CompletionResult]::new('--stream', '--stream', [CompletionResultType]::ParameterName, 'Write FILE down while it is read, such as a pipe from a recorder')
            [CompletionResult]::new('--realtime', '--realtime', [CompletionResultType]::ParameterName, 'Read FILE no faster than it was spoken')
            [CompletionResult]::new('--list-devices', '--list-devices', [CompletionResultType]::ParameterName, 'List the microphones, and do nothing else')
            [CompletionResult]::new('--no-partials', '--no-partials', [CompletionResultType]::ParameterName, 'Do not show what is understood while somebody speaks; saves the engine work')
            [CompletionResult]::new('--no-spawn', '--no-spawn', [CompletionResultType]::ParameterName, 'Do not start a private server where none is running')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print one JSON document')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing but results and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing but results and errors')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Tell more on stderr; twice tells all')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Tell more on stderr; twice tells all')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'speechctl;session' {
            [CompletionResult]::new('--voice', '--voice', [CompletionResultType]::ParameterName, 'Voice, with a variant if wanted: en-gb, en-us+f3; `speechctl voices` lists them; or the .onnx file of a Piper voice [env: SPEECHCTL_VOICE]')
            [CompletionResult]::new('-m', '-m', [CompletionResultType]::ParameterName, 'Model whose voice it must be: `espeak`, or a Piper voice [default: the one that has the voice]')
            [CompletionResult]::new('--model', '--model', [CompletionResultType]::ParameterName, 'Model whose voice it must be: `espeak`, or a Piper voice [default: the one that has the voice]')
            [CompletionResult]::new('--language', '--language', [CompletionResultType]::ParameterName, 'Language, as in en-GB: the best installed voice for it where none is named, else one that the voice must speak')
            [CompletionResult]::new('--speed', '--speed', [CompletionResultType]::ParameterName, 'Times the normal speed, 0.25 to 4')
            [CompletionResult]::new('--speaker', '--speaker', [CompletionResultType]::ParameterName, 'The name or the number of a speaker, of a Piper voice with several [default: the voice''s own]')
            [CompletionResult]::new('--seed', '--seed', [CompletionResultType]::ParameterName, 'What chance is made from; the same seed gives the same samples [default: 0]')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'Write all that is said into one audio file, as fast as it is made, instead of saying it aloud; `-` is stdout')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'Write all that is said into one audio file, as fast as it is made, instead of saying it aloud; `-` is stdout')
            [CompletionResult]::new('--device', '--device', [CompletionResultType]::ParameterName, 'Loudspeaker to play on: its id, its name, or a part of it; `speechctl tts --list-devices` lists them [default: the system''s]')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Shape of the audio [default: by the name of the file, else wav]')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Server to talk to: HOST:PORT or unix:PATH [default: the one on 127.0.0.1:50051, else a private one]')
            [CompletionResult]::new('--timeout', '--timeout', [CompletionResultType]::ParameterName, 'Give up after this time')
            [CompletionResult]::new('--pull', '--pull', [CompletionResultType]::ParameterName, 'Pull the model or the voice if it is not installed, without asking')
            [CompletionResult]::new('--no-spawn', '--no-spawn', [CompletionResultType]::ParameterName, 'Do not start a private server where none is running')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print what happens, one JSON document a line')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing but results and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing but results and errors')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Tell more on stderr; twice tells all')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Tell more on stderr; twice tells all')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'speechctl;voices' {
            [CompletionResult]::new('--language', '--language', [CompletionResultType]::ParameterName, 'Only those of a language: `en` also finds en-GB')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Server to talk to: HOST:PORT or unix:PATH [default: the one on 127.0.0.1:50051, else a private one]')
            [CompletionResult]::new('--timeout', '--timeout', [CompletionResultType]::ParameterName, 'Give up after this time')
            [CompletionResult]::new('--no-spawn', '--no-spawn', [CompletionResultType]::ParameterName, 'Do not start a private server where none is running')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print one JSON document')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing but results and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing but results and errors')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Tell more on stderr; twice tells all')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Tell more on stderr; twice tells all')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'speechctl;models' {
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing but results and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing but results and errors')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Tell more on stderr; twice tells all')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Tell more on stderr; twice tells all')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('list', 'list', [CompletionResultType]::ParameterValue, 'List the models that are installed')
            [CompletionResult]::new('pull', 'pull', [CompletionResultType]::ParameterValue, 'Download models; one that broke off goes on where it was')
            [CompletionResult]::new('remove', 'remove', [CompletionResultType]::ParameterValue, 'Remove models from this machine')
            [CompletionResult]::new('verify', 'verify', [CompletionResultType]::ParameterValue, 'Read models from the disk, and see whether they still are what was pulled')
            [CompletionResult]::new('path', 'path', [CompletionResultType]::ParameterValue, 'Print where a model''s file is')
            [CompletionResult]::new('import', 'import', [CompletionResultType]::ParameterValue, 'Take a model''s file that you have: a ggml Whisper model, or a Piper voice''s .onnx with its .json beside it')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'speechctl;models;list' {
            [CompletionResult]::new('--language', '--language', [CompletionResultType]::ParameterName, 'Only those that know a language: `en` also finds en-GB')
            [CompletionResult]::new('--available', '--available', [CompletionResultType]::ParameterName, 'List those that could be installed, too')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print one JSON document')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing but results and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing but results and errors')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Tell more on stderr; twice tells all')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Tell more on stderr; twice tells all')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'speechctl;models;pull' {
            [CompletionResult]::new('--force', '--force', [CompletionResultType]::ParameterName, 'Take what comes, also where it differs from what was pulled before')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print one JSON document a line, for each thing that happens')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing but results and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing but results and errors')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Tell more on stderr; twice tells all')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Tell more on stderr; twice tells all')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'speechctl;models;remove' {
            [CompletionResult]::new('--force', '--force', [CompletionResultType]::ParameterName, 'Also one that is in use: who uses it keeps it until it ends')
            [CompletionResult]::new('--partial', '--partial', [CompletionResultType]::ParameterName, 'Remove what is left of downloads that broke off')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing but results and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing but results and errors')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Tell more on stderr; twice tells all')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Tell more on stderr; twice tells all')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'speechctl;models;verify' {
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print one JSON document')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing but results and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing but results and errors')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Tell more on stderr; twice tells all')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Tell more on stderr; twice tells all')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'speechctl;models;path' {
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing but results and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing but results and errors')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Tell more on stderr; twice tells all')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Tell more on stderr; twice tells all')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'speechctl;models;import' {
            [CompletionResult]::new('--name', '--name', [CompletionResultType]::ParameterName, 'What to call it [default: the name of the file]')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing but results and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing but results and errors')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Tell more on stderr; twice tells all')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Tell more on stderr; twice tells all')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'speechctl;models;help' {
            [CompletionResult]::new('list', 'list', [CompletionResultType]::ParameterValue, 'List the models that are installed')
            [CompletionResult]::new('pull', 'pull', [CompletionResultType]::ParameterValue, 'Download models; one that broke off goes on where it was')
            [CompletionResult]::new('remove', 'remove', [CompletionResultType]::ParameterValue, 'Remove models from this machine')
            [CompletionResult]::new('verify', 'verify', [CompletionResultType]::ParameterValue, 'Read models from the disk, and see whether they still are what was pulled')
            [CompletionResult]::new('path', 'path', [CompletionResultType]::ParameterValue, 'Print where a model''s file is')
            [CompletionResult]::new('import', 'import', [CompletionResultType]::ParameterValue, 'Take a model''s file that you have: a ggml Whisper model, or a Piper voice''s .onnx with its .json beside it')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'speechctl;models;help;list' {
            break
        }
        'speechctl;models;help;pull' {
            break
        }
        'speechctl;models;help;remove' {
            break
        }
        'speechctl;models;help;verify' {
            break
        }
        'speechctl;models;help;path' {
            break
        }
        'speechctl;models;help;import' {
            break
        }
        'speechctl;models;help;help' {
            break
        }
        'speechctl;ps' {
            [CompletionResult]::new('--timeout', '--timeout', [CompletionResultType]::ParameterName, 'Give up after this time')
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Server to ask: HOST:PORT or unix:PATH [default: 127.0.0.1:50051]')
            [CompletionResult]::new('-w', '-w', [CompletionResultType]::ParameterName, 'Show every change as it comes, until Ctrl-C: on a terminal in place, else a line each')
            [CompletionResult]::new('--watch', '--watch', [CompletionResultType]::ParameterName, 'Show every change as it comes, until Ctrl-C: on a terminal in place, else a line each')
            [CompletionResult]::new('--no-spawn', '--no-spawn', [CompletionResultType]::ParameterName, 'Do not start a private server where none is running')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print one JSON document; with `--watch` one a line')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing but results and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing but results and errors')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Tell more on stderr; twice tells all')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Tell more on stderr; twice tells all')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'speechctl;sessions' {
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing but results and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing but results and errors')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Tell more on stderr; twice tells all')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Tell more on stderr; twice tells all')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('list', 'list', [CompletionResultType]::ParameterValue, 'List the sessions that are on the disk')
            [CompletionResult]::new('recover', 'recover', [CompletionResultType]::ParameterValue, 'Print what was understood of a session, and save the audio that nobody has written down')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'speechctl;sessions;list' {
            [CompletionResult]::new('--state-folder', '--state-folder', [CompletionResultType]::ParameterName, 'Where to look [default: the folders of all servers, below ~/.local/state/speechctl]')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print one JSON document')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing but results and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing but results and errors')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Tell more on stderr; twice tells all')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Tell more on stderr; twice tells all')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'speechctl;sessions;recover' {
            [CompletionResult]::new('--state-folder', '--state-folder', [CompletionResultType]::ParameterName, 'Where to look [default: the folders of all servers, below ~/.local/state/speechctl]')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'Where to save the audio that nobody has written down [default: ID.wav]')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'Where to save the audio that nobody has written down [default: ID.wav]')
            [CompletionResult]::new('--remove', '--remove', [CompletionResultType]::ParameterName, 'Remove the session when all of that is done')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing but results and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing but results and errors')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Tell more on stderr; twice tells all')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Tell more on stderr; twice tells all')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'speechctl;sessions;help' {
            [CompletionResult]::new('list', 'list', [CompletionResultType]::ParameterValue, 'List the sessions that are on the disk')
            [CompletionResult]::new('recover', 'recover', [CompletionResultType]::ParameterValue, 'Print what was understood of a session, and save the audio that nobody has written down')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'speechctl;sessions;help;list' {
            break
        }
        'speechctl;sessions;help;recover' {
            break
        }
        'speechctl;sessions;help;help' {
            break
        }
        'speechctl;serve' {
            [CompletionResult]::new('--listen', '--listen', [CompletionResultType]::ParameterName, 'Where to listen: HOST:PORT (port 0: the system chooses) or unix:PATH; may be given more than once')
            [CompletionResult]::new('--model', '--model', [CompletionResultType]::ParameterName, 'Recogniser of requests that name none: a model''s name, a ggml model file, or `selftest` [default: the best that is installed for the language]')
            [CompletionResult]::new('--voice', '--voice', [CompletionResultType]::ParameterName, 'Voice of requests that name none, or a Piper voice''s .onnx file [default: en-us; with `--worker tts=…`, that worker''s own]')
            [CompletionResult]::new('--lexicon', '--lexicon', [CompletionResultType]::ParameterName, 'Pronunciations: lines `WORD = respelling` or `WORD = [[phonemes]]`; read again when the file changes')
            [CompletionResult]::new('--threads', '--threads', [CompletionResultType]::ParameterName, 'Threads of an engine [default: the cores, at most 4]')
            [CompletionResult]::new('--drain-timeout', '--drain-timeout', [CompletionResultType]::ParameterName, 'How long open calls may take to end after SIGTERM')
            [CompletionResult]::new('--load-timeout', '--load-timeout', [CompletionResultType]::ParameterName, 'How long a model may take to load')
            [CompletionResult]::new('--hang-timeout', '--hang-timeout', [CompletionResultType]::ParameterName, 'How long an engine may work without a sign of life before it is replaced')
            [CompletionResult]::new('--worker', '--worker', [CompletionResultType]::ParameterName, 'A worker that somebody else runs: `stt=http://HOST:PORT` or `tts=http://HOST:PORT`, which speaks the contracts in proto/macaw; may be given more than once. The first of each role serves requests that name no model or voice')
            [CompletionResult]::new('--registration', '--registration', [CompletionResultType]::ParameterName, 'Let workers dial in here: HOST:PORT (port 0: the system chooses); see `speechctl worker --help`')
            [CompletionResult]::new('--registration-token', '--registration-token', [CompletionResultType]::ParameterName, 'Where to write the token that the next worker to dial in needs; a fresh one is written each time one was used')
            [CompletionResult]::new('--spares', '--spares', [CompletionResultType]::ParameterName, 'Start a worker before it is needed, for each model in use, so that the loss of one costs no time: where memory allows, always, or never')
            [CompletionResult]::new('--idle-timeout', '--idle-timeout', [CompletionResultType]::ParameterName, 'Unload a model that was not used for so long; 0 = never')
            [CompletionResult]::new('--preload', '--preload', [CompletionResultType]::ParameterName, 'Load this model before the server is ready, and keep it loaded; may be given more than once')
            [CompletionResult]::new('--max-models', '--max-models', [CompletionResultType]::ParameterName, 'The most models that are loaded at the same time: for one more, the one goes that was not used for longest and that nobody needs; where there is none, the request is refused; 0 = any number')
            [CompletionResult]::new('--min-residency', '--min-residency', [CompletionResultType]::ParameterName, 'How long a model stays loaded at least, before it may go for another or because it is not used')
            [CompletionResult]::new('--max-loads', '--max-loads', [CompletionResultType]::ParameterName, 'The most models that load at the same time; others wait for their turn [default: half the cores]')
            [CompletionResult]::new('--self-check', '--self-check', [CompletionResultType]::ParameterName, 'Have a worker that was idle for so long show that its engine works; one that fails is replaced; 0 = never')
            [CompletionResult]::new('--worker-memory', '--worker-memory', [CompletionResultType]::ParameterName, 'The most memory that a worker may take, such as 2G; 0 = no limit [default: three quarters of what there is]')
            [CompletionResult]::new('--state-folder', '--state-folder', [CompletionResultType]::ParameterName, 'Where the audio of sessions is kept until it is decided; belongs to one server at a time [default: ~/.local/state/speechctl/ADDRESS]')
            [CompletionResult]::new('--session-wait', '--session-wait', [CompletionResultType]::ParameterName, 'How long a session waits for a client that has gone; then it ends, and lingers')
            [CompletionResult]::new('--linger', '--linger', [CompletionResultType]::ParameterName, 'How long the finals of a session that is over are kept for a client that has not got them all')
            [CompletionResult]::new('--session-log', '--session-log', [CompletionResultType]::ParameterName, 'The most that one session may keep, such as 64M: about half an hour of audio that nobody could decide; at least 4M, and 8M for audio of 48 kHz')
            [CompletionResult]::new('--log-size', '--log-size', [CompletionResultType]::ParameterName, 'The most that all sessions may keep together')
            [CompletionResult]::new('--log-sync', '--log-sync', [CompletionResultType]::ParameterName, 'When what is kept must have reached the disk: `never`, `finals`, `always`, or every so many seconds, and finals. It matters for power cuts only')
            [CompletionResult]::new('--max-sessions', '--max-sessions', [CompletionResultType]::ParameterName, 'The most sessions at the same time; fewer where the machine cannot keep up with them')
            [CompletionResult]::new('--spoken-idle', '--spoken-idle', [CompletionResultType]::ParameterName, 'How long a spoken session may say nothing and be asked for nothing before it ends')
            [CompletionResult]::new('--max-spoken-sessions', '--max-spoken-sessions', [CompletionResultType]::ParameterName, 'The most spoken sessions at the same time; fewer where the machine cannot keep up with them')
            [CompletionResult]::new('--insecure', '--insecure', [CompletionResultType]::ParameterName, 'Let others than this machine connect, unencrypted and unasked')
            [CompletionResult]::new('--pull', '--pull', [CompletionResultType]::ParameterName, 'Pull the model or the voice if it is not installed, without asking')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing but results and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing but results and errors')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Tell more on stderr; twice tells all')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Tell more on stderr; twice tells all')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'speechctl;doctor' {
            [CompletionResult]::new('--server', '--server', [CompletionResultType]::ParameterName, 'Server that other verbs talk to: HOST:PORT or unix:PATH [default: 127.0.0.1:50051]')
            [CompletionResult]::new('--full', '--full', [CompletionResultType]::ParameterName, 'Compare the digests of models too, which reads all of them')
            [CompletionResult]::new('--online', '--online', [CompletionResultType]::ParameterName, 'Ask the hub whether it answers')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print one JSON document')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing but results and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing but results and errors')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Tell more on stderr; twice tells all')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Tell more on stderr; twice tells all')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'speechctl;completions' {
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing but results and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing but results and errors')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Tell more on stderr; twice tells all')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Tell more on stderr; twice tells all')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'speechctl;man' {
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing but results and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing but results and errors')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Tell more on stderr; twice tells all')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Tell more on stderr; twice tells all')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'speechctl;worker' {
            [CompletionResult]::new('--engine', '--engine', [CompletionResultType]::ParameterName, 'The engine: whisper, espeak or piper')
            [CompletionResult]::new('--model', '--model', [CompletionResultType]::ParameterName, 'What the engine loads: a ggml model file, `selftest`, or a Piper voice''s .onnx file')
            [CompletionResult]::new('--name', '--name', [CompletionResultType]::ParameterName, 'What callers call the model [default: the file''s name without its ending, `selftest`, `espeak`]')
            [CompletionResult]::new('--listen', '--listen', [CompletionResultType]::ParameterName, 'Serve any client: HOST:PORT (port 0: the system chooses) or unix:PATH [default: 127.0.0.1:50051 for recognisers, 127.0.0.1:50052 for synthesisers]')
            [CompletionResult]::new('--connect', '--connect', [CompletionResultType]::ParameterName, 'Offer this worker to a server''s registration port: HOST:PORT')
            [CompletionResult]::new('--token-file', '--token-file', [CompletionResultType]::ParameterName, 'File with the token that lets it in; read again before each connection, of which there are as many as it takes. Without it, SPEECHCTL_WORKER_TOKEN in the environment is good for one connection')
            [CompletionResult]::new('--threads', '--threads', [CompletionResultType]::ParameterName, 'Threads for a call that names none [default: the cores, at most 4]')
            [CompletionResult]::new('--memory', '--memory', [CompletionResultType]::ParameterName, 'Most memory that it may take, such as 512M or 2G; 0 for no limit of its own')
            [CompletionResult]::new('--cache', '--cache', [CompletionResultType]::ParameterName, 'Folder for what has to be unpacked')
            [CompletionResult]::new('--parent', '--parent', [CompletionResultType]::ParameterName, 'The process that started it, with which it ends')
            [CompletionResult]::new('--insecure', '--insecure', [CompletionResultType]::ParameterName, 'Let others than this machine connect, unencrypted and unasked')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing but results and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing but results and errors')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Tell more on stderr; twice tells all')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Tell more on stderr; twice tells all')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'speechctl;help' {
            [CompletionResult]::new('tts', 'tts', [CompletionResultType]::ParameterValue, 'Speak a text into an audio file')
            [CompletionResult]::new('stt', 'stt', [CompletionResultType]::ParameterValue, 'Write down what is said, in an audio file or into a microphone')
            [CompletionResult]::new('session', 'session', [CompletionResultType]::ParameterValue, 'Say lines as they are typed')
            [CompletionResult]::new('voices', 'voices', [CompletionResultType]::ParameterValue, 'List the voices')
            [CompletionResult]::new('models', 'models', [CompletionResultType]::ParameterValue, 'List, pull, check and remove models')
            [CompletionResult]::new('ps', 'ps', [CompletionResultType]::ParameterValue, 'List the workers of a server')
            [CompletionResult]::new('sessions', 'sessions', [CompletionResultType]::ParameterValue, 'List and recover what servers that died have left behind')
            [CompletionResult]::new('serve', 'serve', [CompletionResultType]::ParameterValue, 'Run the gRPC service')
            [CompletionResult]::new('doctor', 'doctor', [CompletionResultType]::ParameterValue, 'Find out why speech does not work here')
            [CompletionResult]::new('completions', 'completions', [CompletionResultType]::ParameterValue, 'Print what makes a shell complete speechctl''s flags')
            [CompletionResult]::new('man', 'man', [CompletionResultType]::ParameterValue, 'Write the manual''s pages into a folder')
            [CompletionResult]::new('worker', 'worker', [CompletionResultType]::ParameterValue, 'Run one engine')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'speechctl;help;tts' {
            break
        }
        'speechctl;help;stt' {
            break
        }
        'speechctl;help;session' {
            break
        }
        'speechctl;help;voices' {
            break
        }
        'speechctl;help;models' {
            [CompletionResult]::new('list', 'list', [CompletionResultType]::ParameterValue, 'List the models that are installed')
            [CompletionResult]::new('pull', 'pull', [CompletionResultType]::ParameterValue, 'Download models; one that broke off goes on where it was')
            [CompletionResult]::new('remove', 'remove', [CompletionResultType]::ParameterValue, 'Remove models from this machine')
            [CompletionResult]::new('verify', 'verify', [CompletionResultType]::ParameterValue, 'Read models from the disk, and see whether they still are what was pulled')
            [CompletionResult]::new('path', 'path', [CompletionResultType]::ParameterValue, 'Print where a model''s file is')
            [CompletionResult]::new('import', 'import', [CompletionResultType]::ParameterValue, 'Take a model''s file that you have: a ggml Whisper model, or a Piper voice''s .onnx with its .json beside it')
            break
        }
        'speechctl;help;models;list' {
            break
        }
        'speechctl;help;models;pull' {
            break
        }
        'speechctl;help;models;remove' {
            break
        }
        'speechctl;help;models;verify' {
            break
        }
        'speechctl;help;models;path' {
            break
        }
        'speechctl;help;models;import' {
            break
        }
        'speechctl;help;ps' {
            break
        }
        'speechctl;help;sessions' {
            [CompletionResult]::new('list', 'list', [CompletionResultType]::ParameterValue, 'List the sessions that are on the disk')
            [CompletionResult]::new('recover', 'recover', [CompletionResultType]::ParameterValue, 'Print what was understood of a session, and save the audio that nobody has written down')
            break
        }
        'speechctl;help;sessions;list' {
            break
        }
        'speechctl;help;sessions;recover' {
            break
        }
        'speechctl;help;serve' {
            break
        }
        'speechctl;help;doctor' {
            break
        }
        'speechctl;help;completions' {
            break
        }
        'speechctl;help;man' {
            break
        }
        'speechctl;help;worker' {
            break
        }
        'speechctl;help;help' {
            break
        }
    })

    $completions.Where{ $_.CompletionText -like "$wordToComplete*" } |
        Sort-Object -Property ListItemText
}
