#!/bin/bash
# Starts mongod of the official image as a replica set of one with access control. Members of a set know each other by
# a key file, which must belong to the user that runs mongod and be readable by nobody else.
set -euo pipefail
umask 077
printf '%s' "$MONGODB_KEYFILE" >/tmp/keyfile
unset MONGODB_KEYFILE
exec docker-entrypoint.sh mongod --replSet rs0 --keyFile /tmp/keyfile --bind_ip_all \
    --wiredTigerCacheSizeGB "${MONGODB_CACHE_GB:-0.5}"
