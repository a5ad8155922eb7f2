#!/usr/bin/env bats
# The plugin at every phase of DevStack, whose functions are stubs.

setup() {
    export STUBS_DIR=$BATS_TEST_TMPDIR
    CALLS=$STUBS_DIR/calls
    touch "$CALLS"
    mkdir -p "$STUBS_DIR/home" "$STUBS_DIR/cache/openstack-rca"
    DEVSTACK=$BATS_TEST_DIRNAME/..
    # The programs that the plugin calls by their path.
    mkdir "$STUBS_DIR/bin"
    local name
    for name in openstack-rca-manage openstack-rca-status; do
        # shellcheck disable=SC2016  # the program expands it
        printf '#!/usr/bin/env bash\nprintf "%%s\\n" "%s $*" >> "%s"\nexit "${STUBS_STATUS:-0}"\n' \
            "$name" "$CALLS" > "$STUBS_DIR/bin/$name"
        chmod +x "$STUBS_DIR/bin/$name"
    done
    CONF=$STUBS_DIR/etc/openstack-rca.conf
    UWSGI=$STUBS_DIR/etc/openstack-rca-api-uwsgi.ini
    STATE=$STUBS_DIR/data/openstack-rca
    URL=http://192.0.2.10/root-cause-analysis
}

# Run phases as stack.sh, unstack.sh and clean.sh do: with settings read once,
# plugin.sh once a phase, and an end at the first failure. The shell has
# nounset off, as DevStack has.
phases() {
    # shellcheck disable=SC2016
    bash -o errexit -c '
        source "$1/tests/stubs.bash"
        source "$1/settings"
        shift_dir=$1
        shift
        for phase in "$@"; do
            read -r -a words <<< "$phase"
            source "$shift_dir/plugin.sh" "${words[@]}"
        done' phases "$DEVSTACK" "$@"
}

STACK=("stack pre-install" "stack install" "stack post-config" "stack extra"
       "stack test-config")

called() {
    grep -qFx -- "$1" "$CALLS" || {
        printf 'not called: %s\n' "$1"
        cat "$CALLS"
        return 1
    }
}

not_called() {
    if grep -q -- "$1" "$CALLS"; then
        printf 'called: %s\n' "$(grep -- "$1" "$CALLS")"
        return 1
    fi
}

# The calls named are there, in this order.
in_order() {
    local want line
    exec 4< "$CALLS"
    for want in "$@"; do
        while true; do
            read -r line <&4 || {
                printf 'not called, or too early: %s\n' "$want"
                cat "$CALLS"
                return 1
            }
            [[ "$line" == "$want"* ]] && break
        done
    done
    exec 4<&-
}

value() {
    awk -F ' = ' -v section="[$2]" -v option="$3" '
        /^\[/ { inside = ($0 == section) }
        inside && $1 == option { sub(/^[^=]* = /, ""); print }' "$1"
}

@test "settings register the plugin and enable its services" {
    phases
    in_order "define_plugin openstack_rca" \
        "enable_service openstack-rca-api openstack-rca-engine openstack-rca-journal"
}

@test "a whole run of stack.sh calls everything in order" {
    phases "${STACK[@]}"
    in_order \
        "setup_develop $STUBS_DIR/dest/openstack_rca engine" \
        "sudo install -d -o $(id -un) -m 755 $STUBS_DIR/etc" \
        "sudo install -d -o $(id -un) -m 700 $STATE $STATE/state $STATE/journal" \
        "iniset $CONF database connection mysql+pymysql://root:secret@127.0.0.1/openstack_rca?charset=utf8" \
        "iniset_rpc_backend openstack-rca $CONF" \
        "setup_logging $CONF" \
        "configure_keystone_authtoken_middleware $CONF openstack-rca" \
        "write_uwsgi_config $UWSGI openstack_rca.wsgi.api:application /root-cause-analysis  openstack-rca-api" \
        "create_service_user openstack-rca" \
        "get_or_create_service openstack-rca root-cause-analysis Root cause analysis" \
        "get_or_create_endpoint root-cause-analysis RegionOne $URL" \
        "get_or_create_project admin default" \
        "iniset $CONF incidents project_id 0123456789abcdef0123456789abcdef" \
        "recreate_database openstack_rca" \
        "openstack-rca-manage --config-file $CONF db sync" \
        "run_process openstack-rca-journal $STUBS_DIR/dest/openstack_rca/devstack/journal.sh $STATE/journal systemd-journal" \
        "run_process openstack-rca-engine $STUBS_DIR/bin/openstack-rca-engine --config-file $CONF" \
        "run_process openstack-rca-api $STUBS_DIR/bin/uwsgi --procname-prefix openstack-rca-api --ini $UWSGI" \
        "wait_for_service 60 $URL/healthcheck" \
        "openstack rca analyze --help" \
        "openstack-rca-status --config-file $CONF upgrade check" \
        "openstack --os-cloud devstack-admin rca source list"
    not_called '^die'
    # Checking tokens needs no more than the role that DevStack gives.
    called "create_service_user openstack-rca"
}

@test "each phase does its own work only" {
    phases "stack pre-install"
    not_called '^setup_develop\|^iniset\|^run_process\|^recreate_database'
    : > "$CALLS"
    phases "stack install"
    not_called '^iniset\|^run_process\|^recreate_database'
    : > "$CALLS"
    phases "stack post-config"
    not_called '^setup_develop\|^run_process\|^recreate_database'
    : > "$CALLS"
    phases "stack extra"
    not_called '^setup_develop\|^iniset\|^create_service_user'
}

@test "phases that are not the plugin's do nothing" {
    phases "stack source" "restack" "stack"
    not_called '^setup_develop\|^iniset\|^run_process\|^stop_process\|^sudo'
}

@test "the configuration holds what the services need" {
    phases "stack post-config"
    [ "$(value "$CONF" DEFAULT debug)" = True ]
    [ "$(value "$CONF" DEFAULT state_path)" = "$STATE/state" ]
    [ "$(value "$CONF" DEFAULT transport_url)" = rabbit://stackrabbit:secret@192.0.2.10:5672/ ]
    [ "$(value "$CONF" sources log_dirs)" = "devstack:$STATE/journal" ]
    [ "$(value "$CONF" keystone_authtoken username)" = openstack-rca ]
    [ "$(value "$CONF" oslo_middleware enable_proxy_headers_parsing)" = True ]
    [ "$(value "$UWSGI" uwsgi module)" = openstack_rca.wsgi.api:application ]
}

@test "passwords and log text are for nobody else" {
    phases "stack post-config"
    [ "$(stat -c %a "$CONF")" = 600 ]
    [ "$(stat -c %a "$STATE")" = 700 ]
    [ "$(stat -c %a "$STATE/state")" = 700 ]
    [ "$(stat -c %a "$STATE/journal")" = 700 ]
}

@test "a second run leaves nothing of the first configuration" {
    phases "stack post-config"
    printf '[stale]\nold = yes\n' >> "$CONF"
    phases "stack post-config"
    run grep stale "$CONF"
    [ "$status" -eq 1 ]
}

@test "local.conf chooses folders, places and what is read" {
    OPENSTACK_RCA_LOG_DIRS=all:/var/log OPENSTACK_RCA_DATA_DIR=$STUBS_DIR/other \
        OPENSTACK_RCA_SERVICE_HOST=rca.example.org OPENSTACK_RCA_SERVICE_PROTOCOL=https \
        OPENSTACK_RCA_DIR=/srv/rca phases "stack install" "stack post-config"
    called "setup_develop /srv/rca engine"
    [ "$(value "$CONF" sources log_dirs)" = all:/var/log ]
    [ "$(value "$CONF" DEFAULT state_path)" = "$STUBS_DIR/other/state" ]
    called "get_or_create_endpoint root-cause-analysis RegionOne https://rca.example.org/root-cause-analysis"
}

@test "without RabbitMQ no bus is configured" {
    ENABLED_SERVICES=key,mysql phases "stack post-config"
    [ -z "$(value "$CONF" DEFAULT transport_url)" ]
}

@test "the engine alone: no accounts, no application, no endpoint" {
    DISABLED_SERVICES=openstack-rca-api phases "${STACK[@]}"
    called "setup_develop $STUBS_DIR/dest/openstack_rca engine"
    called "run_process openstack-rca-engine $STUBS_DIR/bin/openstack-rca-engine --config-file $CONF"
    called "recreate_database openstack_rca"
    not_called '^write_uwsgi_config\|^create_service_user\|^get_or_create_service\|^get_or_create_endpoint\|openstack-rca-api'\
'$\|^wait_for_service\|^run_process openstack-rca-api\|source list'
    [ -z "$(value "$CONF" keystone_authtoken username)" ]
}

@test "an engine on a host without the database does not make one" {
    ENABLED_SERVICES=rabbit DISABLED_SERVICES=openstack-rca-api phases "${STACK[@]}"
    not_called '^recreate_database\|db sync'
    called "run_process openstack-rca-engine $STUBS_DIR/bin/openstack-rca-engine --config-file $CONF"
}

@test "the API alone" {
    DISABLED_SERVICES=openstack-rca-engine,openstack-rca-journal phases "${STACK[@]}"
    not_called '^run_process openstack-rca-engine\|^run_process openstack-rca-journal\|^getent'
    called "wait_for_service 60 $URL/healthcheck"
    called "recreate_database openstack_rca"
}

@test "with all services disabled only the commands are installed" {
    ENABLED_SERVICES=dstat \
        DISABLED_SERVICES=openstack-rca-api,openstack-rca-engine,openstack-rca-journal \
        phases "${STACK[@]}"
    called "setup_develop $STUBS_DIR/dest/openstack_rca"
    called "openstack rca analyze --help"
    not_called '^sudo\|^iniset\|^recreate_database\|^run_process\|^create_service_user\|^get_or_create\|openstack-rca-status\|openstack-rca-manage'
    [ ! -e "$CONF" ]
}

@test "an API without Keystone is refused before anything is installed" {
    ENABLED_SERVICES=mysql run phases "${STACK[@]}"
    [ "$status" -eq 1 ]
    [[ "$output" == *"needs Keystone"* ]]
    not_called '^setup_develop'
}

@test "a journal that cannot be read is refused" {
    STUBS_GETENT_STATUS=2 run phases "stack pre-install"
    [ "$status" -eq 1 ]
    [[ "$output" == *"group systemd-journal"* ]]
}

@test "an API that does not start stops DevStack" {
    STUBS_WAIT_STATUS=1 run phases "stack post-config" "stack extra"
    [ "$status" -eq 1 ]
    [[ "$output" == *"openstack-rca-api did not start"* ]]
}

@test "a database that cannot be made stops DevStack" {
    STUBS_STATUS=1 run phases "stack post-config" "stack extra"
    [ "$status" -ne 0 ]
    not_called '^run_process'
}

@test "a failed upgrade check stops DevStack, a warning does not" {
    STUBS_STATUS=2 run phases "stack post-config" "stack test-config"
    [ "$status" -eq 1 ]
    [[ "$output" == *"upgrade check found a failure"* ]]
    STUBS_STATUS=1 run phases "stack post-config" "stack test-config"
    [ "$status" -eq 0 ]
}

@test "unstack stops what was started and removes nothing" {
    phases "stack post-config"
    : > "$CALLS"
    phases unstack
    in_order "stop_process openstack-rca-api" "stop_process openstack-rca-engine" \
        "stop_process openstack-rca-journal"
    not_called 'rm \|^remove_uwsgi_config'
    [ -e "$CONF" ]
    [ -d "$STATE/journal" ]
}

@test "clean removes configuration, events, journal and cache" {
    phases "stack post-config"
    mkdir -p "$STUBS_DIR/apache"
    touch "$STATE/journal/journal.json" "$STUBS_DIR/cache/openstack-rca/x" \
        "$STUBS_DIR/apache/openstack-rca-api.conf"
    phases unstack clean
    called "remove_uwsgi_config $UWSGI openstack-rca-api"
    [ ! -e "$STUBS_DIR/etc" ]
    [ ! -e "$STATE" ]
    [ ! -e "$STUBS_DIR/cache/openstack-rca" ]
    [ ! -e "$STUBS_DIR/apache/openstack-rca-api.conf" ]
    [ -d "$STUBS_DIR/data" ]
}

@test "clean of a host that never had the services" {
    ENABLED_SERVICES=dstat \
        DISABLED_SERVICES=openstack-rca-api,openstack-rca-engine,openstack-rca-journal \
        phases unstack clean
    not_called '^remove_uwsgi_config\|^stop_process'
}

@test "the journal is written for its reader alone" {
    mkdir "$STUBS_DIR/journal" "$STUBS_DIR/path"
    printf '#!/usr/bin/env bash\necho "$@"\n' > "$STUBS_DIR/path/journalctl"
    chmod +x "$STUBS_DIR/path/journalctl"
    echo old > "$STUBS_DIR/journal/journal.json"
    chmod 600 "$STUBS_DIR/journal/journal.json"
    PATH=$STUBS_DIR/path:$PATH "$DEVSTACK/journal.sh" "$STUBS_DIR/journal"
    run cat "$STUBS_DIR/journal/journal.json"
    [[ "$output" == *"--output json --all"*"--follow --unit devstack@*" ]]
    [[ "$output" != *old* ]]
    [ "$(stat -c %a "$STUBS_DIR/journal/journal.json")" = 600 ]
    rm "$STUBS_DIR/journal/journal.json"
    PATH=$STUBS_DIR/path:$PATH "$DEVSTACK/journal.sh" "$STUBS_DIR/journal"
    [ "$(stat -c %a "$STUBS_DIR/journal/journal.json")" = 600 ]
}

@test "the journal needs a folder" {
    run "$DEVSTACK/journal.sh"
    [ "$status" -eq 2 ]
    run "$DEVSTACK/journal.sh" "$STUBS_DIR/nowhere"
    [ "$status" -eq 2 ]
    [[ "$output" == usage:* ]]
}
