.DEFAULT_GOAL := help
SHELL := /usr/bin/env bash

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
export CGO_ENABLED ?= 0

.PHONY: help
help: ## say what each target does
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

.PHONY: run
run: build ## start a server to play with, and print a curl that gets a token
	./bin/wardkey serve --demo

.PHONY: demo
demo: ## show a token used, refused and revoked, with an example API; KEEP=1 leaves both running
	@cmd/audience-api/demo.sh

.PHONY: build
build: ## build bin/wardkey, one static binary
	go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/wardkey ./cmd/wardkey

.PHONY: man
man: build ## write the manual pages to bin/man
	./bin/wardkey man bin/man

.PHONY: check
check: ## test on SQLite alone: installs nothing, takes seconds
	go test ./...

# What the race detector need not watch: SQLite, which is C in Go's clothes and keeps its memory where
# the detector does not look, and the arithmetic of argon2. They would take most of the time.
unwatched := $(foreach p,modernc.org/sqlite/lib modernc.org/libc golang.org/x/crypto/argon2 golang.org/x/crypto/blake2b,-gcflags=$(p)=-race=false)

.PHONY: test
test: test-needs ## test everything: both engines, stock clients, with the race detector
	WARDKEY_TEST_ENGINES=both CGO_ENABLED=1 internal/databasetest/in-memory internal/databasetest/with-postgres \
		go test -race $(unwatched) -shuffle=on -timeout 20m ./...

.PHONY: test-needs
test-needs:
	@[ ! -x internal/interop/install ] || internal/interop/install
	@[ ! -x internal/browser/install ] || internal/browser/install
	@[ ! -x internal/recipes/install ] || internal/recipes/install

.PHONY: soak
soak: ## test several nodes for long: 50 rolling restarts, 50 failovers, a minute's stop, bad networks; takes half an hour
	WARDKEY_TEST_ENGINES=both WARDKEY_TEST_RESTARTS=50 WARDKEY_TEST_FAILOVERS=50 WARDKEY_TEST_STOPPED_SECONDS=50 \
		WARDKEY_TEST_NETWORK_SECONDS=20 WARDKEY_TEST_LOST_MS=1100 internal/databasetest/with-postgres \
		go test -count 1 -timeout 60m -v -run 'TestRollingRestarts|TestHolder|TestFailover|TestBadNetwork|TestUsageOutlivesServer' ./cmd/wardkey

.PHONY: lint
lint: ## run the linters
	go vet ./...
	go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0 run

.PHONY: lint-api
lint-api: ## lint the description of the admin API; needs Node.js
	cd internal/admin && REDOCLY_TELEMETRY=off npx --yes @redocly/cli@2.77.0 lint --config redocly.yaml openapi.yaml

# helm knows the newest Kubernetes only in its own builds.
helm := go run helm.sh/helm/v3/cmd/helm@v3.19.0
chart := deploy/chart --kube-version 1.27.0 --set issuer=https://auth.example.com

.PHONY: lint-chart
lint-chart: ## lint the Helm chart, and render it with and without Secrets of one's own
	$(helm) lint --strict $(chart) --set database.url=postgres://a/b,masterKey.value=AAAA
	$(helm) lint --strict $(chart) --set tlsSecret=tls,database.existingSecret=db,masterKey.existingSecret=mk
	$(helm) template auth $(chart) --set database.url=postgres://a/b,masterKey.value=AAAA >/dev/null
	$(helm) template auth $(chart) --set tlsSecret=tls,database.existingSecret=db,masterKey.existingSecret=mk >/dev/null

.PHONY: generate
generate: ## write the generated code again
	go generate ./...

.PHONY: screenshots
screenshots: ## take the pictures of the documentation, in docs/images
	internal/browser/install
	mkdir -p docs/images
	SCREENSHOTS=$(CURDIR)/docs/images go test -count 1 -run TestScreenshots ./internal/browser

.PHONY: bench
bench: build ## measure: each figure is a ratio within one run
	internal/databasetest/with-postgres go run ./internal/bench -binary bin/wardkey
