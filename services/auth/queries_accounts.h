/* queries_accounts.h - the SQL of people: accounts, sessions, codes sent to phones, and what is counted against them.
 * Included by queries.h where QUERY has a meaning: no guard.
 */

/* ---- accounts ---------------------------------------------------------------------------------------------------- */

QUERY(ACCOUNT_INSERT,
      "insert into account (name, email, phone, username, password, is_admin, is_developer, created_at, updated_at) "
      "values ($1, lower($2), $3, lower($4), $5, $6, $7, $8, $8) "
      "returning account_id, name, email, phone, username, is_admin, is_developer, status, created_at")

QUERY(ACCOUNT_GET, "select account_id, name, email, phone, username, is_admin, is_developer, status, created_at "
                   "from account where account_id = $1")

QUERY(ACCOUNT_FIND, "select account_id, name, email, phone, username, is_admin, is_developer, status, created_at "
                    "from account where email = lower($1)")

/* An e-mail holds an @, a phone number begins with a digit or +, a username with a letter: at most one row. */
QUERY(ACCOUNT_FOR_LOGIN,
      "select account_id, name, email, phone, username, password as _password, is_admin, is_developer, "
      "status as _status from account where email = lower($1) or phone = $1 or username = lower($1)")

/* As a sign-in answers it. */
QUERY(ACCOUNT_SHOW, "select account_id, name, email, phone, username, is_admin, is_developer from account "
                    "where account_id = $1")

QUERY(ACCOUNT_OF_PHONE, "select account_id, is_developer, status from account where phone = $1")

/* Of two that ask at once, one makes it. */
QUERY(ACCOUNT_MAKE_DEVELOPER, "update account set is_developer = true, updated_at = $2 where account_id = $1 "
                              "and not is_developer and status = 'active'")

/* Alone, so that the statement after it sees the store that another one has opened meanwhile. */
QUERY(ACCOUNT_LOCK, "select from account where account_id = $1 for no key update")

QUERY(ACCOUNT_OWNS_STORE, "select (is_developer and not exists (select from store where owner_account_id = $1))::int "
                          "as developer_only from account where account_id = $1")

QUERY(ACCOUNT_SET_STATUS,
      "update account set status = $2, updated_at = $3 where account_id = $1 returning account_id, status")

/* ---- sessions ---------------------------------------------------------------------------------------------------- */

/* The account stays as it is until this is committed: whoever disables it ends this session too. */
QUERY(SESSION_INSERT,
      "insert into session (account_id, audience, access_hash, refresh_hash, expires_at, refresh_expires_at, "
      "created_at) select account_id, $2, $3, $4, $5, $6, $7 from account where account_id = $1 and status = 'active' "
      "for share returning session_id")

QUERY(SESSIONS_TRIM, "delete from session where session_id = any (array(select session_id from session "
                     "where refresh_expires_at <= $1 order by refresh_expires_at limit 20 for update skip locked))")

/* Locks the session: of several that renew it at once one goes first, and the others no longer find their token. */
QUERY(SESSION_FOR_REFRESH,
      "select session_id, account_id, refresh_expires_at, (session.revoked_at is null and account.status = 'active' "
      "and (audience = 'merchant' or account.is_developer))::int as alive "
      "from session join account using (account_id) where refresh_hash = $1 and audience = $2 for update of session")

QUERY(SESSION_ROTATE, "update session set access_hash = $2, refresh_hash = $3, expires_at = $4, "
                      "refresh_expires_at = $5 where session_id = $1")

QUERY(SPENT_INSERT, "insert into session_spent (refresh_hash, session_id, expires_at) values ($1, $2, $3)")

/* Also of a session that has ended: what ended it may have committed without having told the gateways. */
QUERY(SPENT_FIND, "select session_id, account_id, (revoked_at is null)::int as alive "
                  "from session_spent join session using (session_id) "
                  "where session_spent.refresh_hash = $1 and audience = $2")

QUERY(SPENT_TRIM, "delete from session_spent where refresh_hash = any (array(select refresh_hash from session_spent "
                  "where expires_at <= $1 order by expires_at limit 20 for update skip locked))")

QUERY(SESSION_SET_REVOKED, "update session set revoked_at = coalesce(revoked_at, $2) where session_id = $1 "
                           "returning session_id, account_id")

QUERY(SESSION_FIND_BY_ACCESS, "select session_id from session where access_hash = $1")

QUERY(ACCOUNT_SESSIONS_SET_REVOKED, "update session set revoked_at = $2 where account_id = $1 and revoked_at is null")

/* ---- what is counted against somebody ---------------------------------------------------------------------------- */

QUERY(LOGIN_FAILURE_COUNT,
      "insert into login_failure (who, failures, until) values ($1, 1, $3) on conflict (who) do update set "
      "failures = case when login_failure.until <= $2 then 1 else least(login_failure.failures + 1, 1000) end, "
      "until = case when login_failure.until <= $2 then $3 else login_failure.until end "
      "returning failures, until")

QUERY(LOGIN_FAILURE_LOOK, "select failures, until from login_failure where who = $1 and until > $2")

QUERY(LOGIN_FAILURE_GIVE_BACK, "update login_failure set failures = failures - 1 where who = $1 and failures > 0")

QUERY(LOGIN_FAILURE_FORGET, "delete from login_failure where who = $1")

QUERY(LOGIN_FAILURE_TRIM, "delete from login_failure where who = any (array("
                          "select who from login_failure where until <= $1 limit 20 for update skip locked))")

/* ---- codes sent to phones ---------------------------------------------------------------------------------------- */

QUERY(OTP_PUT, "insert into otp (phone, code_mac, expires_at, created_at) values ($1, $2, $3, $4) "
               "on conflict (phone) do update set code_mac = $2, attempts = 0, expires_at = $3, created_at = $4")

/* Counted before the code is looked at, and committed: parallel guesses are counted one by one. */
QUERY(OTP_ATTEMPT, "update otp set attempts = least(attempts + 1, 1000) where phone = $1 "
                   "returning code_mac, attempts, expires_at")

/* Of two that bring the right code at once, one takes it. */
QUERY(OTP_TAKE, "delete from otp where phone = $1 and code_mac = $2")

QUERY(OTP_TRIM, "delete from otp where phone = any (array("
                "select phone from otp where expires_at <= $1 order by expires_at limit 20 for update skip locked))")
