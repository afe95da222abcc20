#!/bin/bash
# Starts the broker of the official image. A new volume gets a new cluster id: that is how the roles notice that a broker
# came back empty. (The image itself gives every installation the same id.)
set -euo pipefail
known=$KAFKA_LOG_DIRS/meta.properties
if [ -f "$known" ]; then
    CLUSTER_ID=$(sed -n 's/^cluster\.id=//p' "$known")
else
    CLUSTER_ID=$(/opt/kafka/bin/kafka-storage.sh random-uuid)
fi
export CLUSTER_ID
exec /etc/kafka/docker/run
