# What developers do. `make check` is what must pass before anything lands.

.PHONY: build check fmt lint doc test deny completions dist bench

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

# The files in completions/; a test keeps them in step.
completions: build
	target/release/speechctl completions bash > completions/speechctl.bash
	target/release/speechctl completions zsh > completions/_speechctl
	target/release/speechctl completions fish > completions/speechctl.fish
	target/release/speechctl completions powershell > completions/_speechctl.ps1
	target/release/speechctl completions elvish > completions/speechctl.elv

# One file to copy to any Linux of this architecture: fully static, for processors with AVX2 on x86-64. In a folder of
# its own, for whisper.cpp is compiled for this machine's processor otherwise. Its addresses are packed, which
# takes 640 KiB off: the linker and the C library of Debian 12 can do that.
dist:
	GGML_NATIVE=OFF cargo rustc --release --config build-support/dist.toml --bin speechctl --target-dir target/dist -- -C target-feature=+crt-static \
		-C link-arg=-Wl,-z,pack-relative-relocs
	strip -o target/dist/speechctl target/dist/release/speechctl
	target/dist/release/speechctl --version
	@ls -l target/dist/speechctl

# A table of speed and size beside other programs; benches/README.md says what it needs. There is one of spoken sessions,
# too, which needs nothing: `cargo bench --bench spoken`.
bench:
	cargo bench --bench speed
