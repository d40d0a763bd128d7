# The commands of everyday. `make` alone tells what there is.

.DEFAULT_GOAL := help
.PHONY: help run demo test check loom miri figures

help: ## Tell what there is
	@echo "Crosspoint: a SIP back-to-back user agent and media engine."
	@echo
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/    make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20
	@echo
	@echo "Developers: cargo xtask --help"

run: ## Install what is missing, build, and start the switch on conf/ in the foreground
	@scripts/run.sh

demo: ## Start the switch and place 100 calls with audio through it
	@scripts/demo.sh

test: ## Run all tests, the end-to-end ones with real SIPp included
	@scripts/test.sh

check: ## Everything that CI checks, tests included
	@cargo xtask ci

loom: ## Every interleaving of the queue between the planes, by loom
	@RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR=target/loom cargo test --package link --release loom

miri: ## The same queue under Miri, where there is one
	@scripts/miri.sh

figures: ## Signalling and memory, measured; relaying is cargo bench -p benches
	@scripts/figures.sh
