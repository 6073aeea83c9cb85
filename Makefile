# What developers do. `make check` is what must pass before anything lands.

.PHONY: build check fmt lint doc test deny

build:
	cargo build --release

check: fmt lint doc test

fmt:
	cargo fmt --check

lint:
	cargo clippy --release --all-targets -- -D warnings

doc:
	RUSTDOCFLAGS="-D warnings" cargo doc --release --no-deps --document-private-items

test:
	cargo test --release

# Needs cargo-deny; checks what may be linked, see deny.toml.
deny:
	cargo deny check licenses bans sources
