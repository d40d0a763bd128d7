# The commands of everyday. `make` alone tells what there is.

.DEFAULT_GOAL := help
.PHONY: help run demo test check

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
