#!/bin/sh
# Install what a PicoScope of one family needs: the vendor's library (from the package source that you have added as the vendor
# describes, see README.md), the udev rule, the group. Run as root:  ./install.sh ps3000a [USER]
set -eu

family=${1:?"which family? one of ps2000a ps3000a ps4000a ps5000a ps6000 ps6000a"}
user=${2:-${SUDO_USER:-}}
package=lib$family
here=$(cd "$(dirname "$0")" && pwd)

if ! apt-cache show "$package" >/dev/null 2>&1; then
    echo "apt knows no package $package: add the vendor's package source first, then run 'apt-get update'." >&2
    echo "See $here/README.md; the vendor describes it on its page about PicoScope for Linux." >&2
    exit 1
fi
DEBIAN_FRONTEND=noninteractive apt-get install -y "$package"

if [ -d /opt/picoscope/lib ] && ! ldconfig -p | grep -q "lib$family\.so"; then
    echo /opt/picoscope/lib >/etc/ld.so.conf.d/picoscope.conf
    ldconfig
fi

getent group pico >/dev/null || groupadd --system pico
install -m 0644 "$here/95-mimodaq-pico.rules" /etc/udev/rules.d/95-mimodaq-pico.rules
if command -v udevadm >/dev/null 2>&1; then
    udevadm control --reload-rules
    udevadm trigger --subsystem-match=usb --attr-match=idVendor=0ce9
fi
if [ -n "$user" ]; then
    usermod -a -G pico "$user"
    echo "$user is in the group pico from the next login on."
fi
echo "Unplug the scope and plug it in again, then look: mimodaq doctor"
