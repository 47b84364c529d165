#!/usr/bin/env bash
# Shows a token being used, refused and revoked: starts Wardkey and the audience API in a
# temporary directory, and does the rest with the curl that it prints. With KEEP=1 both
# go on until Ctrl-C, so that what is printed can be repeated by hand. With STATUS_TTL=2s
# the API hears of a revocation sooner.
set -euo pipefail
cd "$(dirname "$0")/../.."
unset ${!WARDKEY_*}
export LC_ALL=C no_proxy=127.0.0.1

work=$(mktemp -d)
servers=()

finish() {
	status=$?
	trap - EXIT INT TERM
	if ((status == 1)); then
		tail -n 20 "$work"/*.log >&2 2>/dev/null || true
	fi
	if ((${#servers[@]})); then
		kill "${servers[@]}" 2>/dev/null || true
		wait "${servers[@]}" 2>/dev/null || true
	fi
	rm -rf "$work"
	exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM

die() {
	echo "demo: $*" >&2
	exit 1
}

# free_port finds a port on which nobody listens.
free_port() {
	local port
	while port=$((20000 + RANDOM % 12000)); do
		(: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
	done
	echo "$port"
}

# start NAME COMMAND... runs a server in the background, with a log.
start() {
	local name=$1
	shift
	"$@" >"$work/$name.log" 2>&1 &
	servers+=($!)
}

# ready URL waits until a server that was started answers there.
ready() {
	for _ in {1..100}; do
		curl -fso "$work/ready" "$1" && return
		kill -0 "${servers[-1]}" 2>/dev/null || break
		sleep 0.1
	done
	die "$1 does not answer"
}

# step TITLE STATUS COMMAND prints a command and runs it, and is content with that status
# only. What it answers is left in $answer.
step() {
	printf '\n# %s\n$ %s\n' "$1" "$3"
	answer=$(eval "$3" | tr -d '\r')
	show
	[[ $answer == "HTTP/1.1 $2 "* ]] || die "wanted $2"
}

# show prints what matters of an answer: its first line, the challenge, the body.
show() {
	sed -n -e '1p' -e '1,/^$/{/^www-authenticate:/Ip;d}' -e 's/\("access_token":"[^"]\{12\}\)[^"]*/\1…/;p' <<<"$answer"
}

# set_to NAME VALUE makes a variable for the commands that follow, and says so.
set_to() {
	[[ -n $2 ]] || die "there is no $1"
	printf -v "$1" %s "$2"
	printf '%s=%s\n' "$1" "$2"
}

# member NAME takes a text out of the JSON in $answer.
member() {
	sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p" <<<"$answer" | head -n 1
}

CGO_ENABLED=0 go build -o "$work/" ./cmd/wardkey ./cmd/audience-api

set_to WARDKEY "http://127.0.0.1:$(free_port)"
set_to API "http://127.0.0.1:$(free_port)"
set_to PROFILE "$API/audience/keyspaces/email/profiles/ada@example.com/sections/nordic/attributes"

start wardkey "$work/wardkey" serve --demo --listen "${WARDKEY#http://}" --issuer "$WARDKEY" --audience "$API" \
	--data-dir "$work/data" --bootstrap-file "$work/first.json"
ready "$WARDKEY/readyz"
start audience-api "$work/audience-api" --listen "${API#http://}" --issuer "$WARDKEY" --audience "$API" \
	${STATUS_TTL:+--status-ttl "$STATUS_TTL"}
ready "$API/.well-known/oauth-protected-resource"

answer=$(<"$work/first.json")
set_to ADMIN_ID "$(member client_id)"
set_to ADMIN_SECRET "$(member client_secret)"

step 'An admin gets a token for the admin API ...' 200 \
	'curl -si -u $ADMIN_ID:$ADMIN_SECRET -d grant_type=client_credentials $WARDKEY/oauth/token'
set_to ADMIN "$(member access_token)"

step '... and registers a client, which may read and write by e-mail address in the Section nordic.' 201 \
	'curl -si -H "Authorization: Bearer $ADMIN" -H "Content-Type: application/json" $WARDKEY/admin/v1/clients \
    -d '\''{"name": "Shop", "sections": ["nordic"], "permissions": {"email": ["read", "write"]}}'\'
set_to CLIENT_ID "$(sed -n 's|^location:.*/||Ip' <<<"$answer")"
set_to CLIENT_SECRET "$(member client_secret)"

step 'The client gets a token with all that it holds ...' 200 \
	'curl -si -u $CLIENT_ID:$CLIENT_SECRET -d grant_type=client_credentials $WARDKEY/oauth/token'
set_to TOKEN "$(member access_token)"

step '... and writes.' 200 \
	'curl -si -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/merge-patch+json" -X PATCH $PROFILE \
    -d '\''{"name": "Ada", "city": "Oslo"}'\'

step 'For a job that only reads, it asks for less ...' 200 \
	'curl -si -u $CLIENT_ID:$CLIENT_SECRET -d grant_type=client_credentials -d scope="section:nordic email:read" $WARDKEY/oauth/token'
set_to TOKEN "$(member access_token)"

step '... and reads.' 200 \
	'curl -si -H "Authorization: Bearer $TOKEN" $PROFILE'

step 'This token is refused a write, and told what it lacks.' 403 \
	'curl -si -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/merge-patch+json" -X PATCH $PROFILE \
    -d '\''{"city": "Bergen"}'\'
[[ $answer == *'error="insufficient_scope"'*'scope="email:write"'* ]] || die 'wanted insufficient_scope and email:write'

step 'The admin revokes all tokens of the client.' 204 \
	'curl -si -H "Authorization: Bearer $ADMIN" -X POST $WARDKEY/admin/v1/clients/$CLIENT_ID/revoke-tokens'
revoked=${EPOCHREALTIME/./}

read_again='curl -si -H "Authorization: Bearer $TOKEN" $PROFILE'
printf '\n# The API, which asks nobody about a token, hears of it.\n$ until %s | grep invalid_token; do sleep 0.2; done\n' "$read_again"
while answer=$(eval "$read_again" | tr -d '\r') && [[ $answer == 'HTTP/1.1 200 '* ]]; do
	((${EPOCHREALTIME/./} - revoked < 20000000)) || die 'after 20 seconds the token still opens the API'
	sleep 0.2
done
took=$(((${EPOCHREALTIME/./} - revoked) / 100000))
show
[[ $answer == 'HTTP/1.1 401 '*'error="invalid_token"'* ]] || die 'wanted 401 and invalid_token'
printf '\nThe refusal arrived %d.%d seconds after the revocation.\n' $((took / 10)) $((took % 10))

if [[ -n ${KEEP:-} ]]; then
	printf '\nBoth servers go on until Ctrl-C; every line above works in another shell.\n'
	wait "${servers[@]}"
fi
