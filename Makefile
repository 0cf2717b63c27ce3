# The front door: `make` lists what there is.
# Settings come from the environment or the command line: MODE=l3 FLAG=private make demo
SHELL := bash
.DEFAULT_GOAL := help
CARGO_HOME ?= $(HOME)/.cargo
# The workspace wants rustup's stable; Debian's rustc-web in /usr/bin is for the eBPF half alone.
export PATH := $(CARGO_HOME)/bin:$(PATH):/usr/sbin:/sbin
PREFIX ?= /usr/local
DESTDIR ?=
# What the kernel module is tested on.
ifeq ($(ARCH),arm64)
export KERNEL := $(if $(findstring -arm64,$(KERNEL)),$(KERNEL),$(or $(KERNEL),6.12)-arm64)
endif
IPVL := target/release/ipvl
# What engines run, beside the command.
DOORS := ipvl-cni ipvl-docker ipvl-netavark

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install what the build, the demo and the tests need (Debian 12, root)
	@scripts/setup

# For this machine, whatever ARCH says: the pages of a package for another one are written by it.
build: setup ## build target/release/ipvl, and what engines run
	ARCH= scripts/release --package ipvl $(DOORS:%=--package %)

demo: build ## two slaves and a host outside, in namespaces of their own, which ping each other (MODE=l2|l3|l3s FLAG=bridge|private|vepa)
	@scripts/demo

kmod: setup ## the driver itself as a kernel module, for the kernel that runs here: docs/driver.md (KERNEL=6.1, 6.12: for vm/run; ARCH=arm64)
	@KERNEL=$${KERNEL:-running} scripts/kmod

kmod-install: setup ## the module to where modprobe finds it before the kernel's own driver (root; DESTDIR, KERNEL)
	@DESTDIR=$(DESTDIR) scripts/kmod-install

kmod-demo: setup ## the HOWTO's example with stock ip and our module, in a virtual machine (MODE="l2 l3 l3s" FLAG="bridge private vepa": all)
	@scripts/kmod-demo

kmod-options: setup ## what our module makes of the options that its netlink attribute sets, in a virtual machine
	@scripts/kmod-options

kmod-host: setup ## whether the host and slaves of our module reach each other with host on, and only then, in a virtual machine
	@scripts/kmod-host

kmod-dhcp: setup ## whether stock DHCP clients in slaves of our module get leases of their own, in a virtual machine (PARTS="frames outside": some)
	@scripts/kmod-dhcp

kmod-command: setup ## what the command does with slaves of our module, in a virtual machine
	@scripts/kmod-command

kmod-words: build ## other tools' own words for ipvlan (LXC, CNI, nspawn, networkd, NetworkManager, Docker, Podman, Incus), our plugins with backend kernel, and our module, in a virtual machine (PARTS="cni lxc"; network, once)
	@scripts/kmod-words

kmod-tap: setup ## whether frames of our module's ipvtap go both ways, in a virtual machine
	@scripts/kmod-tap
kmod-howto: setup ## every command of docs/howto.md with stock ip and our module, in a virtual machine (KERNEL=6.12)
	@scripts/kmod-howto

kmod-torture: setup ## our module under floods, changes, deaths and unloading, in a virtual machine (ROUNDS=400 or SECONDS_OF_IT)
	@scripts/kmod-torture

kmod-debug: ## a kernel that watches (KASAN, lockdep, kmemleak, failing memory), for KERNEL=debug; it takes 20 to 60 minutes once
	@vm/build-debug

kmod-messages: setup ## random netlink messages, and memory that runs out, on that kernel (SECONDS_OF_IT=60 SEED=1)
	@scripts/kmod-messages

demo-vm: build ## real guests: QEMU boots Debian's kernel behind tap devices (type ipvtap); each pings all stations (HOST=on|off)
	@scripts/demo-vm

test: setup ## every test, on this machine's kernel (root for the ones with real packets)
	@scripts/run-tests

parity: setup ## compared with the kernel's own driver, in a virtual machine: every scenario, then FRAMES=100000 random frames from SEED
	@scripts/parity

parity-kmod: setup ## the same for our kernel module: beside the kernel's driver, each in a virtual machine (FRAMES=4000 SEED=1 ROWS=)
	@scripts/parity-kmod

check: setup ## formatting, lints, which crate and file may import which, the style's limits, the words
	cargo fmt --all --check
	cargo fmt --check --manifest-path crates/kmod/Cargo.toml
	cargo clippy --workspace --all-targets -- -D warnings
	cargo clippy --package ipvl-tests --test parity --test messages -- -D warnings
	scripts/check-dependencies
	scripts/check-imports --self-test
	scripts/check-imports
	scripts/check-style
	scripts/check-words
	scripts/check-docs --self-test
	scripts/check-docs
	scripts/kmod-check --self-test

verify-kernels: build ## load the programs and run the demo on Debian's 5.10, 6.1 and 6.12 kernels, in virtual machines
	@vm/verify-kernels

verify-arm64: ## the package for arm64, cross-compiled, on Debian's arm64 kernels, also with pages of 16 KiB, in virtual machines (network, once)
	@ARCH=arm64 $(MAKE) --no-print-directory deb
	@vm/verify-arm64

verify-kmod-arm64: ## the kernel module for arm64, cross-compiled, on Debian's arm64 kernel, in virtual machines (KERNEL=6.12; network, once)
	@ARCH=arm64 $(MAKE) --no-print-directory kmod-demo
	@ARCH=arm64 $(MAKE) --no-print-directory kmod-options

verify-masters: setup ## bonds (and their failover), VLANs, VRFs, wireguard, bridges, macvlans as masters, in a virtual machine
	@vm/verify-masters

verify-upgrade: setup ## this build takes over the slaves of older ones, under traffic (builds the last commit of each older version)
	@scripts/verify-upgrade

verify-engines: build ## real engines with real containers, on small Debian machines made here: ENGINE=cni|docker|podman|... (network, once)
	@engines/verify

verify-cases: build ## scripts of people's troubles, each of which exits with 0 if this build does not have it (CASES=folder; root)
	@scripts/cases $(CASES)

verify-dkms: deb-dkms ## install, upgrade and remove the module's package on a clean Debian 12, and let stock ip load it (network, once; root)
	@scripts/verify-dkms

verify-kubernetes: build ## the manifests of deploy/kubernetes against Kubernetes' schemas (PyPI, once)
	@deploy/kubernetes/check

bench-scale: build ## what many slaves cost: adding, removing, broadcasts, packets, memory (COUNTS="2 1000 4096")
	scripts/release --package ipvl-bench
	@scripts/bench-scale scale

bench-storm: build ## what a storm of broadcasts leaves to others, with ipvl and with the kernel's driver (SLAVES=1000)
	scripts/release --package ipvl-bench
	@scripts/bench-scale storm

bench-rates: build ## how exactly rates are kept, and what that costs, beside tbf, policing and EDT, in a virtual machine (WAYS= RATES=)
	scripts/release --package ipvl-bench
	@scripts/rates

bench-metrics: build ## how long a scrape of SLAVES=1000 slaves takes, and how much of a CPU ipvl top
	@scripts/bench-metrics

bench: build ## how fast it is beside the kernel's driver, macvlan, a bridge: docs/performance.md (QUICK=1: fewer rounds)
	scripts/release --package ipvl-bench
	@scripts/bench

bench-kmod: build ## how fast the kernel module is beside the kernel's own driver, by instruction count: docs/performance.md
	scripts/release --package ipvl-bench
	@scripts/bench-kmod

budget: build ## what a verdict costs, in instructions, beside what crates/bench/budget.toml allows (WRITE=1: keep it so)
	scripts/release --package ipvl-bench
	@scripts/budget

bench-ahead: build ## what may be faster than the kernel's driver, and what breaks for it: docs/performance.md (QUICK=1: one round)
	scripts/release --package ipvl-bench
	@scripts/bench-ahead

man: build ## the man pages, into target/man
	@mkdir -p target/man
	$(IPVL) man target/man/

completions: build ## shell completions, into target/completions
	@mkdir -p target/completions
	$(IPVL) completion bash > target/completions/ipvl.bash
	$(IPVL) completion zsh > target/completions/_ipvl
	$(IPVL) completion fish > target/completions/ipvl.fish

install: man completions ## install to DESTDIR and PREFIX (default /usr/local): programs, plugins, units, pages
	@$(MAKE) --no-print-directory install-tree

# What was built already: for the package.
install-tree:
	@DESTDIR=$(DESTDIR) PREFIX=$(PREFIX) scripts/install $(DOORS)

docker-plugin: build ## Docker's managed plugin, which Swarm needs, in target/docker-plugin: docs/docker.md
	@scripts/docker-plugin

deb: man completions ## a Debian package in target/deb: programs, plugins, units, man pages, completions (ARCH=arm64: cross-compiled)
	@scripts/deb

deb-dkms: setup ## the kernel module as a package for DKMS, in target/deb; its Rust part is compiled
	@scripts/deb dkms

verify-deb: deb ## install, upgrade and purge the package in clean Debian trees, with systemd, networkd and NetworkManager (network, once; root)
	@ENGINE=deb engines/verify

verify-reproducible: deb deb-dkms ## build both packages once more, in another folder, and compare every byte (network, once)
	@scripts/verify-reproducible

clean: ## remove what was built (kernels and QEMU in vm/cache stay)
	cargo clean
	rm -rf crates/ebpf/target crates/kmod/target

.PHONY: help setup build demo demo-vm kmod kmod-install kmod-demo kmod-howto kmod-command kmod-host kmod-dhcp kmod-options kmod-tap kmod-words kmod-torture kmod-debug kmod-messages test parity parity-kmod check verify-kernels verify-masters verify-upgrade verify-engines verify-arm64 verify-kmod-arm64 verify-cases verify-dkms verify-kubernetes verify-reproducible bench bench-rates bench-metrics bench-kmod bench-scale bench-storm bench-ahead budget man completions install install-tree docker-plugin deb deb-dkms verify-deb clean
