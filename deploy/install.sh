#!/bin/sh
# Install mimodaq on this host as a service, or remove it. Asks nothing; says what it has done; may be run again.
set -eu
umask 022

usage() {
    cat <<'TEXT'
install.sh: mimodaq on this host, with its services. Run as root; it asks nothing and says what it has done.

  ./install.sh                                  the program only
  ./install.sh --broker --node daq1             broker and node on one computer
  ./install.sh --broker --bind 0.0.0.0 --node daq1 --operator anna
                                                ... for a cluster, with keys
  ./install.sh --node ana1 --broker-at daq1.lab --key ana1.key
                                                a further host
  ./install.sh --uninstall [--purge]            remove it; --purge: also keys, run database and data

  --broker             run the broker here
  --bind ADDRESS       where it listens: 0.0.0.0 for all networks (default 127.0.0.1: this host alone)
  --node NAME          run the node daemon of the host NAME of your setups here
  --broker-at ADDRESS  where the node finds its broker (default 127.0.0.1)
  --key FILE           the node's key, made on the broker's host; not needed where the broker is made in the same go
  --data DIR           the node writes runs there (default /var/lib/mimodaq/data)
  --operator USER      make an operator's key for a user of this host (where the broker is)
  --from WHAT          what pip installs: a folder of sources, a wheel, a requirement (default: the sources around this script)
  --python PROGRAM     the Python to use, 3.11 or newer (default python3)
  --use DIR            a Python environment that has mimodaq, instead of making /opt/mimodaq
  --no-start           install and enable, do not start
  --root DIR           write below DIR, for images and packages: no users, no keys, nothing is started
  --help               this text
TEXT
}

here=$(cd "$(dirname "$0")" && pwd)
broker='' bind=127.0.0.1 node='' broker_at='' key='' data=/var/lib/mimodaq/data operator=''
from='' python=python3 use='' start=yes root='' action=install purge=''

fail() {
    echo "install.sh: $*" >&2
    exit 2
}
say() {
    echo "$*"
}
value() { # of an option
    [ $# -ge 2 ] || fail "$1 needs a value; see --help"
    printf '%s' "$2"
}
while [ $# -gt 0 ]; do
    case $1 in
    --broker) broker=yes ;;
    --bind) bind=$(value "$@"); shift ;;
    --node) node=$(value "$@"); shift ;;
    --broker-at) broker_at=$(value "$@"); shift ;;
    --key) key=$(value "$@"); shift ;;
    --data) data=$(value "$@"); shift ;;
    --operator) operator=$(value "$@"); shift ;;
    --from) from=$(value "$@"); shift ;;
    --python) python=$(value "$@"); shift ;;
    --use) use=$(value "$@"); shift ;;
    --root) root=$(value "$@"); shift ;;
    --no-start) start='' ;;
    --uninstall) action=uninstall ;;
    --purge) purge=yes ;;
    -h | --help) usage; exit 0 ;;
    *) fail "unknown option $1; see --help" ;;
    esac
    shift
done

prefix=/opt/mimodaq
program=$root$prefix/bin/mimodaq
[ -z "$use" ] || program=$use/bin/mimodaq
etc=$root/etc/mimodaq
var=$root/var/lib/mimodaq
units=$root/etc/systemd/system
link=$root/usr/local/bin/mimodaq
mark=$root$prefix/.made-by-install.sh

has_systemd() { # one that is running, that is
    [ -z "$root" ] && [ -d /run/systemd/system ]
}
as_mimodaq() {
    MIMODAQ_STATE=$var runuser -u mimodaq -- "$@"
}

# -- the parts --------------------------------------------------------------------------------------------------------

check() {
    [ -n "$root" ] || [ "$(id -u)" = 0 ] || fail "run it as root (sudo), or with --root DIR"
    case $node in *[!A-Za-z0-9_-]*) fail "--node $node: use letters, digits, - and _" ;; esac
    [ -z "$operator" ] || [ -n "$broker" ] || fail "--operator goes with --broker: keys are made where the broker is"
    [ -z "$operator" ] || [ -n "$root" ] || id -u "$operator" >/dev/null 2>&1 || fail "--operator $operator: no such user"
    [ -z "$key" ] || [ -r "$key" ] || fail "--key $key cannot be read"
    if [ -n "$node" ] && [ -z "$broker" ] && [ -n "$broker_at" ] && [ -z "$key" ] && [ ! -e "$etc/keys/$node.key" ] && [ -z "$root" ]; then
        fail "the broker is another host, so the node needs its key: there 'mimodaq keys create $node --role host', then --key FILE"
    fi
    [ -z "$use" ] || [ -x "$program" ] || fail "--use $use: there is no $program"
}

make_program() {
    if [ -z "$use" ]; then
        "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
            fail "$python is missing or older than Python 3.11; name another one with --python"
        "$python" -c 'import ensurepip, venv' 2>/dev/null || fail "$python cannot make environments: apt-get install python3-venv"
        if [ -z "$from" ]; then
            [ -f "$here/../pyproject.toml" ] || fail "there are no sources around this script; say what to install with --from"
            from=$(cd "$here/.." && pwd)
        fi
        if [ ! -x "$root$prefix/bin/python" ]; then
            "$python" -m venv "$root$prefix"
            : >"$mark"
            say "made the Python environment $root$prefix"
        fi
        "$root$prefix/bin/python" -m pip install --quiet --disable-pip-version-check --upgrade "$from"
        say "installed $("$program" --version) from $from"
    fi
    if [ "$(readlink "$link" 2>/dev/null)" != "${program#"$root"}" ]; then
        mkdir -p "${link%/*}"
        ln -sf "${program#"$root"}" "$link"
        say "linked $link"
    fi
}

can_run() { # the services, not only root
    [ -n "$root" ] || runuser -u mimodaq -- "$program" --version >/dev/null 2>&1 ||
        fail "the user mimodaq cannot run $program: its Python must be readable by all; try --python /usr/bin/python3"
}

make_user() {
    if [ -z "$root" ]; then
        if ! id -u mimodaq >/dev/null 2>&1; then
            useradd --system --user-group --home-dir "$var" --no-create-home --shell /usr/sbin/nologin mimodaq
            say "made the system user mimodaq"
        fi
        if getent group pico >/dev/null && ! id -nG mimodaq | grep -qw pico; then
            usermod -a -G pico mimodaq
            say "put the user mimodaq into the group pico: it may use scopes"
        fi
    fi
    folder "$var" 0750
    folder "$etc" 0755
    folder "$etc/keys" 0700
    [ -z "$node" ] || folder "$root$data" 0750
}
folder() { # PATH MODE
    [ ! -d "$1" ] || return 0
    mkdir -p "$1"
    chmod "$2" "$1"
    [ -n "$root" ] || chown mimodaq:mimodaq "$1"
    say "made $1"
}

put() { # FILE, content on standard input; says whether something has changed
    mkdir -p "${1%/*}"
    cat >"$1.new"
    if cmp -s "$1.new" "$1"; then
        rm "$1.new"
        return 0
    fi
    mv "$1.new" "$1"
    say "wrote $1"
    changed="$changed $1"
}
unit() { # NAME
    sed "s|/opt/mimodaq/bin/mimodaq|${program#"$root"}|" "$here/systemd/$1" | put "$units/$1"
}
changed=''

make_broker() {
    unit mimodaq-broker.service
    put "$etc/broker.env" <<TEXT
MIMODAQ_BIND=$bind
TEXT
}

make_node() {
    unit mimodaq-node@.service
    [ -z "$key" ] || put_key "$key" "$etc/keys/$node.key" mimodaq
    if [ -n "$broker" ] && [ -z "$root" ] && is_open; then
        make_key "$node" host "$etc/keys"
    fi
    options=''
    [ ! -e "$etc/keys/$node.key" ] || options="--key ${etc#"$root"}/keys/$node.key"
    put "$etc/node-$node.env" <<TEXT
MIMODAQ_BROKER=${broker_at:-127.0.0.1}
MIMODAQ_DATA=$data
MIMODAQ_OPTIONS=$options
TEXT
    case $data in
    /var/lib/mimodaq | /var/lib/mimodaq/*) ;;
    *)
        put "$units/mimodaq-node@$node.service.d/data.conf" <<TEXT
# Runs are written here.
[Service]
ProtectHome=no
ReadWritePaths=$data
TEXT
        ;;
    esac
}
is_open() { # whether the broker listens for other hosts
    case $bind in 127.* | ::1 | localhost) return 1 ;; esac
}
make_key() { # NAME ROLE FOLDER
    as_mimodaq "$program" keys list --json | grep -q "\"name\": \"$1\"" && return 0
    as_mimodaq "$program" keys create "$1" --role "$2" --dir "$3" >/dev/null 2>&1 ||
        fail "the key of $1 could not be made: see '$program keys list'"
    say "made the key $3/$1.key ($2)"
}
put_key() { # FROM TO OWNER
    cmp -s "$1" "$2" && return 0
    install -m 0600 "$1" "$2"
    [ -n "$root" ] || chown "$3:" "$2"
    say "wrote $2"
    changed="$changed $2"
}

make_operator() {
    home=$(getent passwd "$operator" | cut -d: -f6)
    [ ! -e "$home/.config/mimodaq/keys/$operator.key" ] || return 0
    make_key "$operator" operator "$etc/keys"
    [ -e "$etc/keys/$operator.key" ] || return 0
    for path in "$home/.config" "$home/.config/mimodaq" "$home/.config/mimodaq/keys"; do
        [ -d "$path" ] || install -d -m 0700 -o "$operator" -g "$(id -gn "$operator")" "$path"
    done
    put_key "$etc/keys/$operator.key" "$home/.config/mimodaq/keys/$operator.key" "$operator"
    rm "$etc/keys/$operator.key"
}

start_services() {
    services=''
    [ -z "$broker" ] || services="mimodaq-broker.service"
    [ -z "$node" ] || services="$services mimodaq-node@$node.service"
    [ -n "$services" ] || return 0
    if ! has_systemd; then
        say "systemd does not run here: nothing was enabled or started. Later: systemctl enable --now $services"
        return 0
    fi
    systemctl daemon-reload
    # shellcheck disable=SC2086 # one or two words
    systemctl enable --quiet $services
    if [ -z "$start" ]; then
        say "enabled $services; not started"
    elif [ -n "$changed" ]; then
        # shellcheck disable=SC2086
        systemctl restart $services
        say "started $services"
    else
        # shellcheck disable=SC2086
        systemctl start $services
        say "running: $services"
    fi
}

uninstall() {
    [ -n "$root" ] || [ "$(id -u)" = 0 ] || fail "run it as root (sudo), or with --root DIR"
    if has_systemd; then
        systemctl stop 'mimodaq-*'
        for path in "$units"/multi-user.target.wants/mimodaq-*; do
            [ ! -L "$path" ] || systemctl disable --quiet "${path##*/}"
        done
        say "stopped the services"
    fi
    end_processes
    for path in "$units"/mimodaq-broker.service "$units"/mimodaq-node@*; do
        remove "$path"
    done
    has_systemd && systemctl daemon-reload
    case $(readlink "$link" 2>/dev/null) in */bin/mimodaq) remove "$link" ;; esac
    [ ! -e "$mark" ] || remove "$root$prefix"
    if [ -n "$purge" ]; then
        remove "$etc"
        remove "$var"
        if [ -z "$root" ] && id -u mimodaq >/dev/null 2>&1; then
            userdel mimodaq
            say "removed the user mimodaq"
        fi
    else
        for path in "$etc" "$var"; do
            [ ! -e "$path" ] || say "kept $path; --purge removes it"
        done
    fi
}
processes() { # of the services' user
    stat -c '%U %n' /proc/[0-9]* 2>/dev/null | sed -n 's|^mimodaq /proc/||p'
}
end_processes() { # workers outlive their daemon: they get 20 s to save what there is
    [ -z "$root" ] && [ -n "$(processes)" ] || return 0
    # shellcheck disable=SC2046 # several numbers
    kill -s TERM $(processes) 2>/dev/null || true
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        [ -n "$(processes)" ] || break
        sleep 1
    done
    # shellcheck disable=SC2046
    [ -z "$(processes)" ] || kill -s KILL $(processes) 2>/dev/null || true
    say "ended the workers that were left"
}
remove() {
    [ -e "$1" ] || [ -L "$1" ] || return 0
    rm -rf "$1"
    say "removed $1"
}

# -- in order ----------------------------------------------------------------------------------------------------------

if [ "$action" = uninstall ]; then
    uninstall
    exit 0
fi
check
make_program
make_user
can_run
[ -z "$broker" ] || make_broker
[ -z "$node" ] || make_node
[ -z "$operator" ] || [ -n "$root" ] || make_operator
start_services
[ -z "$node$broker" ] || say "look: mimodaq status; journalctl -u 'mimodaq-*' -f"
