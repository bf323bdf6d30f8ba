#!/bin/sh
# The scripted agent, in Claude Code's place in its image: writes one file and says its result. It notes in the file
# when it began and ended, so that the time inside it can be taken off. A prompt with HOLD in it is held for an hour.
began=$(date +%s%N)
case $(cat) in *HOLD*) sleep 3600 ;; esac
echo '{"type":"system","subtype":"init","model":"scripted","session_id":"bench","tools":[]}'
echo "$began $(date +%s%N)" >/workspace/bench.txt
echo '{"type":"result","subtype":"success","is_error":false,"num_turns":1,"result":"Done.","total_cost_usd":0,"usage":{"input_tokens":1,"output_tokens":1},"terminal_reason":"completed"}'
