# make help lists the targets. Everything but test, test-images, bench and demo works without an LXD.
SHELL := bash -euo pipefail
# A number of inputs for each target. A time races with the workers at its end (go.dev/issue/75804, mended in Go 1.27).
FUZZTIME ?= 5000x
RUNS ?= 1000
# Of what minio-go brings, half a megabyte is a JSON library that is quicker on what it seldom does here.
TAGS := stdlibjson
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOLANGCI_LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
GORELEASER := github.com/goreleaser/goreleaser/v2@v2.14.0
ACTIONLINT := github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0

EMBEDDED := cmd/internal/probe/embedded
PROBES := $(foreach arch,amd64 arm64,$(EMBEDDED)/icepak-probe-linux-$(arch).zst)
# What launches instances, a few at a time: on two cores, more at once would only take their time.
ON_LXD = ./cmd/icepak/soak ./cmd/internal/lxd/...
# Of ./cmd/icepak, whole runs in the test's own process, which mostly wait. The scripts run icepak without the race detector,
# which has it hash images and serve Polar several times as long; what goes on at once in it has its tests in test-quick.
RACED := TestImagesThatNeverGetThatFar
# What takes minutes, and a server of its own: make test-faults. FAULT is which: killed, line, guest, disk or feed.
FAULTS := TestFaultsOnTheServerDecideNothing
FAULT ?= .
QUICK = $(shell go list ./... | grep -vE '/cmd/(icepak|internal/lxd)(/|$$)')

.PHONY: build
build: probes ## build bin/icepak with the probes in it
	CGO_ENABLED=0 go build -trimpath -tags $(TAGS) -ldflags "-s -w" -o bin/icepak ./cmd/icepak

.PHONY: probes
probes: $(PROBES) ## build the guest's program for every architecture

# Without inlining, each is 0.4 MB smaller in icepak and 0.6 MB in the guest, and 5,000 assertions take 0.1 s more.
$(PROBES): $(EMBEDDED)/icepak-probe-linux-%.zst: FORCE
	CGO_ENABLED=0 GOOS=linux GOARCH=$* go build -trimpath -buildvcs=false -gcflags=all=-l -ldflags '-s -w' -o bin/icepak-probe-linux-$* ./cmd/icepak-probe
	zstd -q -19 -f -o $@.new bin/icepak-probe-linux-$* && mv $@.new $@

FORCE:

.PHONY: setup
setup: ## ready this machine: packages, Go, LXD, Incus, a Debian image
	.ci/setup

.PHONY: test
test: setup test-quick ## test everything, on a real LXD and a real Incus
	go test -race -p 1 -parallel 2 -timeout 20m $(ON_LXD)
	go test -race -parallel 3 -run $(RACED) ./cmd/icepak
	go test -parallel 3 -timeout 20m -skip '$(FAULTS)|$(RACED)' ./cmd/icepak

.PHONY: test-faults
test-faults: setup probes ## kill an LXD of its own, and break the way to it, in the middle of runs
	go test -count=1 -timeout 20m ./cmd/icepak -run '$(FAULTS)/($(FAULT))'

.PHONY: test-quick
test-quick: probes ## test what needs no LXD
	go vet ./...
	go test -race $(QUICK)

.PHONY: test-incus
test-incus: setup ## test what talks to LXD on a real Incus as well
	ICEPAK_TEST_REMOTE=incus:local go test -race -parallel 1 -timeout 20m ./cmd/internal/lxd

.PHONY: test-images
test-images: setup probes ## test the built-in specs on good images, and on ones that are broken in many ways
	.ci/images
	go test -count=1 -parallel 5 -timeout 25m ./cmd/icepak/imagetest

.PHONY: test-browser
test-browser: ## look at Polar's pages in a headless Chromium; leaves pictures in bin/pages
	.ci/browser
	go test -count=1 ./cmd/icepak/browser

.PHONY: bench
bench: setup probes ## time a run beside what LXD itself takes
	go test -run '^$$' -bench Crowd -benchtime 1x ./cmd/icepak
	go test -run '^$$' -bench . -skip Crowd -benchtime 5x -timeout 30m ./cmd/icepak

.PHONY: soak
soak: setup probes ## test the tiny image RUNS times (1000) amid random faults, and the good images 50 times
	.ci/images
	go test -count=1 -timeout 24h -v ./cmd/icepak/soak -run TestSoak -args -runs $(RUNS)
	go test -timeout 24h -count=50 ./cmd/icepak/imagetest -run TestGoodImagesPass

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME (5000x: as many inputs)
	.ci/fuzz $(FUZZTIME)

.PHONY: demo
demo: setup build ## show icepak at work on this machine
	.ci/demo

.PHONY: lint
lint: ## look for mistakes without running anything
	unformatted=$$(gofmt -l .); echo "gofmt: $${unformatted:-ok}"; test -z "$$unformatted"
	go vet ./...
	GOOS=darwin go vet ./cmd/icepak
	go run $(STATICCHECK) ./...
	go run $(GOLANGCI_LINT) run
	go run $(ACTIONLINT) -ignore 'label "lxd" is unknown' .github/workflows/*.yml examples/github-action.yml
	if command -v shellcheck >/dev/null; then shellcheck .ci/* .github/action/*; fi
	if command -v mandoc >/dev/null; then $(MAKE) --no-print-directory lint-manual; fi

.PHONY: lint-manual
lint-manual:
	go run ./cmd/icepak-docs bin/docs
	for page in bin/docs/man/*.gz; do zcat "$$page" | mandoc -Tlint -Wwarning || { echo "in $$page"; exit 1; }; done

.PHONY: vulncheck
vulncheck: ## ask Go's vulnerability database about what icepak calls
	go run $(GOVULNCHECK) -tags $(TAGS) ./...

.PHONY: licences
licences: ## write docs/licences.md anew; a test holds what is allowed
	go test ./cmd/internal/licences -update

.PHONY: snapshot
snapshot: ## build the release files into dist, without releasing
	go run $(GORELEASER) release --snapshot --clean

.PHONY: reproducible
reproducible: ## build the release files of the last commit twice, and compare them
	.ci/reproducible $(GORELEASER)

.PHONY: release
release: ## build the release files of this tag and publish them
	go run $(GORELEASER) release --clean

.PHONY: clean
clean: ## remove what was built
	rm -rf bin dist $(PROBES)

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
