#!/bin/sh
# Ask a specialist something over A2A with curl alone, and follow the task to its end.
#   NIGHTDESK_KEY=nd_… ./ask.sh https://<host>/a2a/issue-enricher "Where is the cache invalidated?"
set -eu
agent=$1 question=$2

call() { # method path [body]
  method=$1 path=$2
  shift 2
  curl -sS -X "$method" "$agent/v1$path" -H "Authorization: Bearer $NIGHTDESK_KEY" -H 'A2A-Version: 1.0' \
    ${1:+-H 'Content-Type: application/json' --data "$1"}
}
field() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p" | head -n 1; }
json() { printf '%s' "$1" | sed 's/\\/\\\\/g; s/"/\\"/g; s/	/\\t/g' | awk 'NR > 1 { printf "\\n" } { printf "%s", $0 }'; }

body='{"message": {"messageId": "1", "role": "ROLE_USER", "parts": [{"text": "'$(json "$question")'"}]},
       "configuration": {"returnImmediately": true, "historyLength": 0}}'
answer=$(call POST /message:send "$body")
id=$(printf '%s' "$answer" | field id)
[ -n "$id" ] || { printf '%s\n' "$answer" >&2; exit 1; }
echo "task $id" >&2

while :; do
  answer=$(call GET "/tasks/$id?historyLength=0")
  state=$(printf '%s' "$answer" | field state)
  echo "$state" >&2
  case $state in
    TASK_STATE_SUBMITTED | TASK_STATE_WORKING) sleep "${PAUSE:-2}" ;;
    *) break ;;
  esac
done
printf '%s\n' "$answer"
[ "$state" = TASK_STATE_COMPLETED ]
