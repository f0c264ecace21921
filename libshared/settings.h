/* settings.h - every setting of the platform: an environment variable with the prefix SX_ (decision 16).
 *
 * This is the one list: config.c reads it, --help prints it, the README's table is made from it (`sxctl settings`;
 * tests/docs). An SX_ variable that is not here is refused at start, so that a misspelt setting is noticed.
 *
 * TEXT(field, name, default, help), NUMBER(field, name, default, min, max, help),
 * RATE(field, name, count, seconds, help): COUNT/SECONDS. A default of NULL means unset.
 */
// clang-format off
#define SETTINGS(TEXT, NUMBER, RATE) \
    TEXT(home, "SX_HOME", "./var", "where all state of a local run lives") \
    NUMBER(port, "SX_PORT", 8080, 1, 65535, "the HTTP port of the gateway") \
    TEXT(listen, "SX_LISTEN", "127.0.0.1", "the address the gateway listens on") \
    NUMBER(dev, "SX_DEV", 0, 0, 1, "1 allows what only development needs: the settable clock, data filling, http targets") \
    TEXT(database_url, "SX_DATABASE_URL", NULL, "libpq connection string without a user; unset: the private cluster in SX_HOME") \
    TEXT(database_password_file, "SX_DATABASE_PASSWORD_FILE", NULL, "file with the password of this process's database role") \
    NUMBER(workers, "SX_WORKERS", 0, 0, 64, "worker threads of a service process, at least as many as gateways; 0: eight for each core, at most 32") \
    TEXT(gateway, "SX_GATEWAY", NULL, "host:port of the gateways' RPC socket, all addresses of the name; unset: the sockets in SX_HOME/run") \
    TEXT(rpc_listen, "SX_RPC_LISTEN", NULL, "tcp address the gateway's RPC socket binds, as tcp://0.0.0.0:5570; unset: ipc in SX_HOME/run") \
    TEXT(keys, "SX_KEYS", NULL, "directory of CURVE keys, needed with tcp; sxctl keys makes it") \
    NUMBER(gateway_index, "SX_GATEWAY_INDEX", 1, 1, 64, "which gateway of this host this process is") \
    NUMBER(gateways, "SX_GATEWAYS", 1, 1, 16, "gateway processes that make up starts; they share SX_PORT") \
    TEXT(master_key_file, "SX_MASTER_KEY_FILE", NULL, "file with 64 hex digits that seal stored secrets; unset: SX_HOME/secrets/master.key") \
    TEXT(clock_file, "SX_CLOCK_FILE", NULL, "under SX_DEV=1: a file whose text is added to the clock, in seconds") \
    TEXT(fault, "SX_FAULT", NULL, "under SX_DEV=1: a fault to happen, db:N loses the connection at the Nth statement") \
    TEXT(log_level, "SX_LOG_LEVEL", "info", "debug, info, warn or error") \
    NUMBER(access_log, "SX_ACCESS_LOG", 1, 0, 1, "0 turns the line per request off") \
    RATE(rate_global, "SX_RATE_GLOBAL", 1000, 60, "every route under /api/, and the page that approves charges") \
    RATE(rate_token, "SX_RATE_TOKEN", 10, 60, "OAuth token endpoint, per address") \
    RATE(rate_verify, "SX_RATE_VERIFY", 300, 60, "session verify, per address") \
    RATE(rate_credentials, "SX_RATE_CREDENTIALS", 10, 900, "custom-app credential routes, per address") \
    RATE(rate_login, "SX_RATE_LOGIN", 30, 60, "signing in, registering and adding members, per address") \
    RATE(rate_metafields, "SX_RATE_METAFIELDS", 120, 60, "metafields, per app and store") \
    TEXT(limits_file, "SX_LIMITS_FILE", NULL, "file the limiter's counters are mapped from, shared by the gateways of a host; unset: SX_HOME/run/limits") \
    TEXT(trusted_proxies, "SX_TRUSTED_PROXIES", NULL, "addresses, networks and host names whose X-Forwarded-For is believed, commas between them") \
    TEXT(cors_origins, "SX_CORS_ORIGINS", "*", "origins that browsers may call from, commas between them") \
    TEXT(public_url, "SX_PUBLIC_URL", NULL, "where clients reach the gateways, as https://api.example.com: the OAuth issuer; unset: as the request says") \
    TEXT(dashboard_origin, "SX_DASHBOARD_ORIGIN", "https://admin.selorax.io", "origin of the merchant dashboard, which embedded apps are shown in and talk to") \
    NUMBER(commission_rate, "SX_COMMISSION_RATE", 200000, 0, 1000000, "the platform's share of what apps earn, in parts of a million; an app may have its own") \
    NUMBER(gateway_fee_rate, "SX_GATEWAY_FEE_RATE", 25000, 0, 1000000, "the payment provider's share, in parts of a million") \
    TEXT(billing_provider, "SX_BILLING_PROVIDER", NULL, "where merchants pay: eps, or under SX_DEV=1 sandbox, which takes any card; unset: sandbox under SX_DEV=1, else nowhere") \
    TEXT(eps_url, "SX_EPS_URL", "https://pgapi.eps.com.bd", "origin of the EPS gateway's API") \
    TEXT(eps_username, "SX_EPS_USERNAME", NULL, "the platform's account at EPS") \
    TEXT(eps_password_file, "SX_EPS_PASSWORD_FILE", NULL, "file with its password") \
    TEXT(eps_hash_key_file, "SX_EPS_HASH_KEY_FILE", NULL, "file with the hash key EPS gave: signs what is asked") \
    TEXT(eps_merchant_id, "SX_EPS_MERCHANT_ID", NULL, "merchant id at EPS") \
    TEXT(eps_store_id, "SX_EPS_STORE_ID", NULL, "store id at EPS") \
    NUMBER(charge_expiry_s, "SX_CHARGE_EXPIRY", 172800, 60, 31536000, "for how many seconds a charge waits for the merchant") \
    NUMBER(review_required, "SX_REVIEW_REQUIRED", 0, 0, 1, "1: the marketplace shows, and merchants install from it, only apps that a platform admin has approved") \
    NUMBER(audit_days, "SX_AUDIT_DAYS", 400, 30, 36500, "for how many days the audit log keeps an entry") \
    NUMBER(identity_lease_ms, "SX_IDENTITY_LEASE_MS", 800, 0, 800, "how long a gateway trusts its identity cache unrenewed; 0 turns the cache off") \
    NUMBER(postgres_port, "SX_POSTGRES_PORT", 5432, 1, 65535, "port number in the private cluster's unix socket name")
