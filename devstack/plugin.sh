#!/usr/bin/env bash
# DevStack plugin: installs the "openstack rca" commands and their local
# analysis. There is no daemon, no database and no endpoint to set up.

function install_openstack_rca {
    if [[ "$OPENSTACK_RCA_ENGINE" == "True" ]]; then
        setup_develop "$OPENSTACK_RCA_DIR" engine
    else
        setup_develop "$OPENSTACK_RCA_DIR"
    fi
}

# What the plugin promises, checked where a failure stops DevStack.
function test_openstack_rca {
    openstack rca analyze --help > /dev/null
}

if is_service_enabled openstack_rca; then
    if [[ "$1" == "stack" && "$2" == "install" ]]; then
        echo_summary "Installing openstack_rca"
        install_openstack_rca
    elif [[ "$1" == "stack" && "$2" == "test-config" ]]; then
        echo_summary "Checking openstack_rca"
        test_openstack_rca
    fi
fi

if [[ "$1" == "clean" ]]; then
    # The cache holds the text of logs.
    rm -rf "${XDG_CACHE_HOME:-$HOME/.cache}/openstack-rca"
fi
