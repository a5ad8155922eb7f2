# DevStack's functions, as far as the plugin uses them. Each records its call
# as one line of $CALLS. Those that write configuration write what DevStack's
# own write, so that services can be started from it.
# shellcheck shell=bash disable=SC2034  # the plugin reads the variables

: "${STUBS_DIR:?a folder for what is written}"
CALLS=$STUBS_DIR/calls

DEST=$STUBS_DIR/dest
DATA_DIR=$STUBS_DIR/data
SERVICE_TIMEOUT=60
SERVICE_PROTOCOL=http
SERVICE_HOST=192.0.2.10
REGION_NAME=RegionOne
API_WORKERS=2
WORKER_TIMEOUT=80
ENABLE_DEBUG_LOG_LEVEL=True
STACK_USER=$(id -un)
ENABLED_SERVICES=${ENABLED_SERVICES:-key,mysql,rabbit}
DISABLED_SERVICES=${DISABLED_SERVICES:-}

# Configuration goes below the folder, never to /etc.
OPENSTACK_RCA_CONF_DIR=$STUBS_DIR/etc
# Caches of whoever runs this are not the plugin's to remove.
XDG_CACHE_HOME=$STUBS_DIR/cache
HOME=$STUBS_DIR/home

function record {
    printf '%s\n' "$*" >> "$CALLS"
}

function define_plugin {
    record "define_plugin $*"
}

# Those that local.conf disabled stay so.
function enable_service {
    record "enable_service $*"
    local service
    for service in "$@"; do
        if [[ ",$DISABLED_SERVICES," != *",$service,"* ]]; then
            ENABLED_SERVICES+=,$service
        fi
    done
}

# True if any of the services is enabled.
function is_service_enabled {
    local service
    for service in "$@"; do
        if [[ ",$ENABLED_SERVICES," == *",$service,"* ]]; then
            return 0
        fi
    done
    return 1
}

function get_python_exec_prefix {
    echo "${STUBS_BIN_DIR:-$STUBS_DIR/bin}"
}

function die {
    record "die ${*:2}"
    printf '%s\n' "${*:2}" >&2
    exit 1
}

function sudo {
    record "sudo $*"
    "$@"
}

function iniset {
    record "iniset $*"
    local file=$1 section=$2 option=$3 value=$4
    mkdir -p "$(dirname "$file")"
    touch "$file"
    OPTION=$option VALUE=$value SECTION="[$section]" awk '
        function put() {
            print ENVIRON["OPTION"] " = " ENVIRON["VALUE"]
            done = 1
        }
        /^\[/ {
            if (inside && !done) put()
            inside = ($0 == ENVIRON["SECTION"])
        }
        inside && $1 == ENVIRON["OPTION"] && $2 == "=" { put(); next }
        { print }
        END {
            if (!done) {
                if (!inside) print ENVIRON["SECTION"]
                put()
            }
        }' "$file" > "$file.new"
    cat "$file.new" > "$file"
    rm "$file.new"
}

function database_connection_url {
    echo "${STUBS_DATABASE:-mysql+pymysql://root:secret@127.0.0.1/$1?charset=utf8}"
}

function iniset_rpc_backend {
    record "iniset_rpc_backend $*"
    if is_service_enabled rabbit; then
        iniset "$2" "${3:-DEFAULT}" transport_url \
            rabbit://stackrabbit:secret@192.0.2.10:5672/
    fi
}

function configure_keystone_authtoken_middleware {
    record "configure_keystone_authtoken_middleware $*"
    local file=$1 user=$2 section=${3:-keystone_authtoken}
    iniset "$file" "$section" memcached_servers localhost:11211
    iniset "$file" "$section" cafile ""
    iniset "$file" "$section" project_domain_name Default
    iniset "$file" "$section" project_name service
    iniset "$file" "$section" user_domain_name Default
    iniset "$file" "$section" password secret
    iniset "$file" "$section" username "$user"
    iniset "$file" "$section" auth_url "$SERVICE_PROTOCOL://$SERVICE_HOST/identity"
    iniset "$file" "$section" interface public
    iniset "$file" "$section" auth_type password
    iniset "$file" "$section" www_authenticate_uri "$SERVICE_PROTOCOL://$SERVICE_HOST/identity"
}

# The options that DevStack gives to uWSGI for an application behind Apache.
function write_uwsgi_config {
    record "write_uwsgi_config $*"
    local file=$1 wsgi=$2 url=$3 http=$4 name=$5
    local option value
    if [[ ! "$wsgi" =~ ^[a-zA-Z0-9_.]+:[a-zA-Z0-9_]+$ ]]; then
        die $LINENO "deprecated: $wsgi is no path of a module"
    fi
    rm -rf "$file"
    while read -r option value; do
        iniset "$file" uwsgi "$option" "$value"
    done <<< "module $wsgi
        processes $API_WORKERS
        master true
        die-on-term true
        exit-on-reload false
        worker-reload-mercy $WORKER_TIMEOUT
        enable-threads true
        plugins http,python3
        thunder-lock true
        hook-master-start unix_signal:15 gracefully_kill_them_all
        buffer-size 65535
        add-header Connection: close
        lazy-apps true
        start-time %t
        socket $STUBS_DIR/$name.socket
        chmod-socket 666"
    record "ProxyPass $url $http"
}

function remove_uwsgi_config {
    record "remove_uwsgi_config $*"
    rm -rf "$1"
}

function apache_site_config_for {
    echo "$STUBS_DIR/apache/$1.conf"
}

function wait_for_service {
    record "wait_for_service $*"
    return "${STUBS_WAIT_STATUS:-0}"
}

# These do nothing, and DevStack's do nothing for a service that is disabled.
function run_process {
    if is_service_enabled "$1"; then
        record "run_process $*"
    fi
}

function stop_process {
    if is_service_enabled "$1"; then
        record "stop_process $*"
    fi
}

# The group that may read the journal is not on every machine.
function getent {
    record "getent $*"
    return "${STUBS_GETENT_STATUS:-0}"
}

function openstack {
    record "openstack $*"
}

function get_or_create_project {
    record "get_or_create_project $*"
    echo 0123456789abcdef0123456789abcdef
}

for name in echo_summary setup_develop setup_logging create_service_user \
        get_or_create_service get_or_create_endpoint recreate_database; do
    eval "function $name { record \"$name \$*\"; }"
done
