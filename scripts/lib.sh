# shellcheck shell=bash
# What the other scripts share. To be sourced by bash; $root is the source tree.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Messages that are looked at are in English; root's tools are found after a plain su, too.
export LC_ALL=C.UTF-8 PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

say() { printf '%s\n' "$*"; }

heading() { printf '\n== %s\n' "$*"; }

die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# wait_for SECONDS COMMAND...: until the command succeeds. Fails when it has not in that time.
wait_for() {
	local deadline=$((SECONDS + $1))
	shift
	until "$@"; do
		((SECONDS < deadline)) || return 1
		sleep 0.05
	done
}

# build_tree DIRECTORY [MESON-OPTION...]: configure and build the tree there, or of it what the array
# build_targets names. Says nothing unless it fails.
build_targets=()
build_tree() {
	local dir=$1 log
	shift
	local setup=(meson setup "$@" "$dir" "$root")

	[[ ! -f $dir/build.ninja ]] || setup+=(--reconfigure)
	log=$(mktemp)
	if ! { "${setup[@]}" && ninja -C "$dir" "${build_targets[@]}"; } >"$log" 2>&1; then
		tail -n 40 "$log" >&2
		rm -f "$log"
		return 1
	fi
	rm -f "$log"
}
