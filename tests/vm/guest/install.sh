#!/bin/bash
# What the project's installer does, until it is there.
set -euo pipefail
source=/mnt/host/catflap
release=/opt/catflap/releases/$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' "$source/edge/__init__.py")-bench
python3 -m venv --system-site-packages "$release"
"$release/bin/pip" install --quiet --no-index --find-links /mnt/host/wheels --require-hashes -r "$source/requirements/runtime-py311.txt"
"$release/bin/pip" install --quiet --no-index --no-deps --find-links /mnt/host/wheels catflap
mkdir -p "$release/share/catflap"
cp -r "$source/systemd" "$release/share/catflap/systemd"
units=/opt/catflap/current/share/catflap/systemd
ln -sfn "$release" /opt/catflap/current
ln -sfn /opt/catflap/current/bin/catflap /opt/catflap/current/bin/catflap-update /usr/local/bin/
ln -sfn $units/*.service $units/*.path /etc/systemd/system/
mkdir -p /etc/sysusers.d
ln -sfn $units/catflap.sysusers /etc/sysusers.d/catflap.conf
ln -sfn $units/catflap.tmpfiles /etc/tmpfiles.d/catflap.conf
ln -sfn $units/sshd_catflap.conf /etc/ssh/sshd_config.d/catflap.conf
systemd-sysusers
mkdir -p /etc/catflap
cp -n /mnt/host/catflap.toml /etc/catflap/catflap.toml
systemd-tmpfiles --create /etc/tmpfiles.d/catflap.conf
systemctl daemon-reload
systemctl enable catflap.service catflap-update.path catflap-link.service
