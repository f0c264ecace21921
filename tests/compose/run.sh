#!/bin/sh
# run.sh - `make test-compose`: test_compose.py with the Docker engine that answers; says `not run` where there is none.
set -eu
cd "$(dirname "$0")/../.."

if docker compose version >/dev/null 2>&1; then
    export COMPOSE="docker compose"
elif command -v docker-compose >/dev/null; then
    export COMPOSE=docker-compose
else
    echo "not run: no docker compose here"
    exit 0
fi
docker info >/dev/null 2>&1 || { echo "not run: no Docker engine answers"; exit 0; }
exec /usr/bin/python3 -m pytest -v -s --tb=short -p no:cacheprovider tests/compose/test_compose.py "$@"
