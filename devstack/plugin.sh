#!/usr/bin/env bash
# DevStack plugin: the "openstack rca" commands, the API behind Apache, the
# engine, and an export of DevStack's journal for the engine to read.
#
# DevStack sources this file at each of its phases. What each service needs is
# set up on the hosts where that service is enabled; the commands always are.

OPENSTACK_RCA_BIN_DIR=$(get_python_exec_prefix)

function openstack_rca_url {
    echo "$OPENSTACK_RCA_SERVICE_PROTOCOL://$OPENSTACK_RCA_SERVICE_HOST/root-cause-analysis"
}

# What can never work is told before half an hour of installing.
function check_openstack_rca {
    if is_service_enabled openstack-rca-api && ! is_service_enabled key; then
        die $LINENO "openstack-rca-api needs Keystone: enable the service key, or disable the service openstack-rca-api"
    fi
    if is_service_enabled openstack-rca-journal && ! getent group systemd-journal > /dev/null; then
        die $LINENO "openstack-rca-journal needs the group systemd-journal, which may read the journal"
    fi
}

function install_openstack_rca {
    if is_service_enabled openstack-rca-api openstack-rca-engine; then
        setup_develop "$OPENSTACK_RCA_DIR" engine
    else
        setup_develop "$OPENSTACK_RCA_DIR"
    fi
}

function configure_openstack_rca {
    if ! is_service_enabled openstack-rca-api openstack-rca-engine openstack-rca-journal; then
        return 0
    fi
    sudo install -d -o "$STACK_USER" -m 755 "$OPENSTACK_RCA_CONF_DIR"
    sudo install -d -o "$STACK_USER" -m 700 "$OPENSTACK_RCA_DATA_DIR" \
        "$OPENSTACK_RCA_STATE_DIR" "$OPENSTACK_RCA_JOURNAL_DIR"
    if ! is_service_enabled openstack-rca-api openstack-rca-engine; then
        return 0
    fi

    # A file of an earlier run must not add to this one. It holds passwords.
    rm -f "$OPENSTACK_RCA_CONF"
    install -m 600 /dev/null "$OPENSTACK_RCA_CONF"
    iniset "$OPENSTACK_RCA_CONF" DEFAULT debug "$ENABLE_DEBUG_LOG_LEVEL"
    iniset "$OPENSTACK_RCA_CONF" DEFAULT state_path "$OPENSTACK_RCA_STATE_DIR"
    iniset "$OPENSTACK_RCA_CONF" sources log_dirs "$OPENSTACK_RCA_LOG_DIRS"
    iniset "$OPENSTACK_RCA_CONF" database connection "$(database_connection_url openstack_rca)"
    iniset_rpc_backend openstack-rca "$OPENSTACK_RCA_CONF"
    setup_logging "$OPENSTACK_RCA_CONF"

    if is_service_enabled openstack-rca-api; then
        configure_keystone_authtoken_middleware "$OPENSTACK_RCA_CONF" openstack-rca
        # Apache stands before the API and tells where it was called.
        iniset "$OPENSTACK_RCA_CONF" oslo_middleware enable_proxy_headers_parsing True
        write_uwsgi_config "$OPENSTACK_RCA_UWSGI_CONF" "$OPENSTACK_RCA_UWSGI" \
            "/root-cause-analysis" "" "openstack-rca-api"
    fi
}

# Asking for tokens to be checked is all that the service does in Keystone: the
# role "service", which every service user of DevStack has, is enough.
function create_openstack_rca_accounts {
    if is_service_enabled openstack-rca-api; then
        create_service_user openstack-rca
        get_or_create_service openstack-rca root-cause-analysis "Root cause analysis"
        get_or_create_endpoint root-cause-analysis "$REGION_NAME" "$(openstack_rca_url)"
    fi
    # Incidents are for those who operate the cloud.
    if is_service_enabled openstack-rca-engine; then
        iniset "$OPENSTACK_RCA_CONF" incidents project_id "$(get_or_create_project admin default)"
    fi
}

# The database is made on the host that has it, once for all engines.
function init_openstack_rca {
    if is_service_enabled openstack-rca-api openstack-rca-engine && is_service_enabled mysql postgresql; then
        recreate_database openstack_rca
        "$OPENSTACK_RCA_BIN_DIR/openstack-rca-manage" --config-file "$OPENSTACK_RCA_CONF" db sync
    fi
}

function start_openstack_rca {
    # The journal may be read by a group, which the process gets as its own.
    run_process openstack-rca-journal \
        "$OPENSTACK_RCA_DIR/devstack/journal.sh $OPENSTACK_RCA_JOURNAL_DIR" systemd-journal
    run_process openstack-rca-engine \
        "$OPENSTACK_RCA_BIN_DIR/openstack-rca-engine --config-file $OPENSTACK_RCA_CONF"
    run_process openstack-rca-api \
        "$OPENSTACK_RCA_BIN_DIR/uwsgi --procname-prefix openstack-rca-api --ini $OPENSTACK_RCA_UWSGI_CONF"
    if is_service_enabled openstack-rca-api; then
        if ! wait_for_service "$SERVICE_TIMEOUT" "$(openstack_rca_url)/healthcheck"; then
            die $LINENO "openstack-rca-api did not start"
        fi
    fi
}

# What the plugin promises, checked where a failure stops DevStack.
function test_openstack_rca {
    openstack rca analyze --help > /dev/null
    if is_service_enabled openstack-rca-api openstack-rca-engine; then
        local status=0
        "$OPENSTACK_RCA_BIN_DIR/openstack-rca-status" --config-file "$OPENSTACK_RCA_CONF" \
            upgrade check || status=$?
        # 1 is a warning, such as a folder that is still empty.
        if [[ "$status" -gt 1 ]]; then
            die $LINENO "openstack-rca-status upgrade check found a failure"
        fi
    fi
    if is_service_enabled openstack-rca-api; then
        openstack --os-cloud devstack-admin rca source list
    fi
}

function stop_openstack_rca {
    stop_process openstack-rca-api
    stop_process openstack-rca-engine
    stop_process openstack-rca-journal
}

function cleanup_openstack_rca {
    if is_service_enabled openstack-rca-api; then
        remove_uwsgi_config "$OPENSTACK_RCA_UWSGI_CONF" openstack-rca-api
        sudo rm -f "$(apache_site_config_for openstack-rca-api)"
    fi
    # The configuration holds passwords; the rest, and the cache of the
    # commands, the text of logs.
    sudo rm -rf "$OPENSTACK_RCA_CONF_DIR" "$OPENSTACK_RCA_DATA_DIR"
    rm -rf "${XDG_CACHE_HOME:-$HOME/.cache}/openstack-rca"
}

if [[ "$1" == "stack" && "$2" == "pre-install" ]]; then
    echo_summary "Checking what openstack_rca needs"
    check_openstack_rca
elif [[ "$1" == "stack" && "$2" == "install" ]]; then
    echo_summary "Installing openstack_rca"
    install_openstack_rca
elif [[ "$1" == "stack" && "$2" == "post-config" ]]; then
    echo_summary "Configuring openstack_rca"
    configure_openstack_rca
    create_openstack_rca_accounts
elif [[ "$1" == "stack" && "$2" == "extra" ]]; then
    echo_summary "Starting openstack_rca"
    init_openstack_rca
    start_openstack_rca
elif [[ "$1" == "stack" && "$2" == "test-config" ]]; then
    echo_summary "Checking openstack_rca"
    test_openstack_rca
elif [[ "$1" == "unstack" ]]; then
    echo_summary "Stopping openstack_rca"
    stop_openstack_rca
elif [[ "$1" == "clean" ]]; then
    echo_summary "Removing openstack_rca"
    cleanup_openstack_rca
fi
