#!/bin/sh
# edged @VERSION@: the whole program in one file. Behind this script is an archive of it, unpacked once into a folder that
# has the build's name, and found there from then on. `exec` keeps the process, with all that it was given.

fail() { # STATUS WHAT-IS-WRONG REMEDY
    printf 'edged: %s\n  %s\n' "$2" "$3" >&2
    exit "$1"
}

# What is executed, nobody but its owner may change, and the owner is root or us.
safe() { # FOLDER...
    ! find "$@" -prune \( ! -type d -o ! -user 0 ! -user "$user" -o -perm -020 -o -perm -002 \) 2>&1 | grep -q ''
}

whole() { # FOLDER: whether the program is there
    [ -e "$1/$build" ] || return
    safe "$1" "$1/$build" || refuse "$1"
    [ -x "$1/$build/edged" ]
}

refuse() { # FOLDER
    fail 77 "$1 is no folder that root or you alone can change, so nothing in it is executed" \
        "Remove it, or set EDGED_UNPACK_DIR to another one."
}

# `sudo -E` leaves root the HOME of whoever called it, who may put another folder in the place of any in there.
at_home() {
    [ "$user" != 0 ] || { [ -O "$home" ] && ! find "$home" "$cache" "$cache/edged" -prune ! -user 0 2>/dev/null | grep -q ''; }
}

reason() { # OUTPUT: the line of it that says most. Tools name a full disk last.
    printf '%s\n' "$1" | grep -m 1 -e 'No space left' -e 'quota exceeded' || printf '%s\n' "$1" | head -n 1
}

# A folder of its own until it is on the disk and has run once: a crash, a full disk or another one that does the same at
# the same time leave nothing that is half there. Renaming fails where the other one was first.
unpack() { # FOLDER
    mkdir -p "$1" 2>/dev/null || fail 74 "it cannot make $1 to unpack itself into" "$room"
    safe "$1" || refuse "$1"
    new=$(mktemp -d "$1/.edged-new.XXXXXX" 2>/dev/null) || fail 74 "it cannot write to $1, where it unpacks itself" "$room"
    trap 'rm -rf "$new"' EXIT
    # What those that were killed left behind.
    find "$1" -mindepth 1 -maxdepth 1 -name '.edged-new.*' -type d -mmin +60 -exec rm -rf {} + 2>/dev/null
    said=$({ mkdir "$new/$build" && tail -c +@SKIP@ "$file" | tar -xzof - -C "$new/$build"; } 2>&1) ||
        fail 74 "it cannot unpack itself into $1: $(reason "$said")" "$room"
    said=$("$new/$build/edged" --version 2>&1) ||
        fail 69 "it does not run on this machine, or not from $1: $(reason "$said")" \
            "It needs Linux on @MACHINE@ with glibc @GLIBC@ or later, and a folder that is not mounted noexec."
    sync -f "$new" 2>/dev/null || sync
    # What somebody who cleaned up has left of it.
    [ ! -d "$1/$build" ] || whole "$1" || mv -f "$1/$build" "$new/left"
    said=$(mv -f "$new/$build" "$1/" 2>&1) || whole "$1" ||
        fail 74 "it cannot unpack itself into $1: $(reason "$said")" "$room"
}

folder() { # prints where the program is
    build=@BUILD@
    cd / # the current folder may be gone, which tools stumble over
    umask 022 # what root unpacks is for every user
    unset TAR_OPTIONS GZIP
    export LC_ALL=C PATH="/usr/bin:/bin${PATH:+:$PATH}"
    file=$1
    user=$(id -u)
    room="Make room there, or set EDGED_UNPACK_DIR to a folder of yours on another disk."
    shared=/var/cache/edged
    case ${XDG_CACHE_HOME:-} in
        /*) home=$XDG_CACHE_HOME cache=$home ;;
        *) home=${HOME:-} cache=${HOME:+$HOME/.cache} ;; # a relative one is to be ignored, says the XDG specification
    esac
    if [ -n "${EDGED_UNPACK_DIR:-}" ]; then
        base=$EDGED_UNPACK_DIR
    elif [ "$user" = 0 ] && mkdir -p "$shared" 2>/dev/null && [ -w "$shared" ]; then
        base=$shared
    elif [ -e "$shared/$build" ] && safe "$shared" "$shared/$build"; then
        base=$shared
    elif [ -n "$cache" ] && at_home; then
        base=$cache/edged/program # beside what edged compiled, which is not to be executed by itself
    else
        fail 74 "it has no folder to unpack itself into" "Set HOME, or EDGED_UNPACK_DIR to a folder of yours."
    fi
    case $base in
        /*) ;;
        *) fail 64 "it cannot unpack itself into $base, which is no absolute path" "Write it from the root on." ;;
    esac
    whole "$base" || unpack "$base"
    printf '%s\n' "$base/$build"
}

# Nothing else is set in this shell: it might be a variable that the caller exported.
EDGED_FILE=$(PATH="/usr/bin:/bin${PATH:+:$PATH}" readlink -f -- "$0") && [ -r "$EDGED_FILE" ] ||
    fail 74 "it cannot find or read the file that it was started from, $0" "Start it by its path."
export EDGED_FILE
EDGED_FOLDER=$(folder "$EDGED_FILE") || exit
exec "$EDGED_FOLDER/edged" "$@"
