/* queries_reviews.h - what was submitted for review, and what became of it. Included by queries.h, behind APP_VIEW and
 * REVIEWED_FIELDS. */

#define REVIEW_OPEN     "status in ('submitted', 'in_review')"
#define VERSION_COLUMNS "review.app_id, review.version, status, message, submitted_at, decided_at"

/* ---- submitting and deciding ------------------------------------------------------------------------------------- */

/* What is said of an app here, and when auth's part was changed last, as far as it was heard. */
#define SAID_NOW                                                                                                       \
    "(select to_jsonb(said)::text from (select screenshots, description, short_description, homepage_url, category, "  \
    "pricing_type, pricing_amount, fee_payer, app_updated_at) as said) as said"
QUERY(LISTING_SAID, "select " SAID_NOW " from listing where app_id = $1")

/* Submissions and decisions of one app come one after the other, and nothing is said of it meanwhile. */
QUERY(REVIEW_HOLD, "select review_number, coalesce(approved_version, 0) as approved_version, " SAID_NOW " from listing "
                   "where app_id = $1 and version > 0 and not is_deleted for update")

QUERY(APP_REVIEWED, "select to_jsonb(reviewed)::text as manifest from (select " REVIEWED_FIELDS
                    " from (" APP_VIEW(APP_UPDATED) ") as app) as reviewed")

/* $2 manifest. */
QUERY(REVIEW_NEWEST, "select version, status, (manifest = $2::jsonb)::int as same from review where app_id = $1 "
                     "order by version desc limit 1")
QUERY(REVIEW_WITHDRAW, "delete from review where app_id = $1 and " REVIEW_OPEN)
QUERY(REVIEW_PUT, "with numbered as (update listing set review_number = review_number + 1, review_status = 'submitted' "
                  "where app_id = $1 returning app_id, review_number) "
                  "insert into review (app_id, version, status, manifest, submitted_at, submitted_by) "
                  "select app_id, review_number, 'submitted', $2::jsonb, $3::timestamptz, $4::bigint from numbered "
                  "returning " VERSION_COLUMNS)
QUERY(REVIEW_GET, "select " VERSION_COLUMNS " from review where app_id = $1 and version = $2")

/* $3 what becomes of version $2, $4 the reviewer's message, $5 now, $6 when auth is told again. */
QUERY(REVIEW_DECIDE,
      "with noted as (update listing set review_status = case when review_number = $2::int then $3::text else "
      "review_status end, approved_version = case when $3::text = 'approved' then $2::int when $3::text = 'rejected' "
      "and approved_version = $2::int then null else approved_version end, decision_number = decision_number + 1, "
      "decision_due = $6::timestamptz where app_id = $1::bigint) "
      "update review set status = $3::text, message = $4, decided_at = case when $3::text <> 'in_review' then "
      "$5::timestamptz end where app_id = $1::bigint and version = $2::int returning " VERSION_COLUMNS)

/* ---- telling auth ------------------------------------------------------------------------------------------------ */

QUERY(DECISION_UNTOLD, "select decision_number, (approved_version is not null)::int as is_approved from listing "
                       "where app_id = $1 and decision_due is not null")

/* What was decided meanwhile is still to be told. */
QUERY(DECISION_TOLD, "update listing set decision_due = null where app_id = $1 and decision_number = $2")

/* $1 now, $2 when it is due again unless it is done. */
QUERY(DECISION_TAKE, "update listing set decision_due = $2 where creation_id = (select creation_id from listing where "
                     "decision_due <= $1 order by decision_due limit 1 for update skip locked) returning app_id")

/* ---- looking ----------------------------------------------------------------------------------------------------- */

#define REVIEWS_TOTAL LISTED("'review'", "0", "''")
#define REVIEWED_APP                                                                                                   \
    "(select name, slug, icon, developer_name, is_approved from listing where listing.app_id = review.app_id and not " \
    "is_deleted offset 0) as shown"

/* $1 how many, $2 how many not. */
QUERY(REVIEWS_PAGE,
      "with total as (select " REVIEWS_TOTAL " as _total) select total._total, page.* from total left join lateral "
      "(select app_id, review.version, status, shown.*, submitted_at from review cross join lateral " REVIEWED_APP
      " where " REVIEW_OPEN " order by submitted_at, app_id limit $1 offset $2) as page on true "
      "order by submitted_at, app_id")

/* $1 app, $2 how many, $3 how many not. */
QUERY(VERSIONS_PAGE,
      "with total as (select count(*) as _total from (select from review where app_id = $1 limit 10001) as counted) "
      "select total._total, page.* from total left join lateral (select " VERSION_COLUMNS
      " from review where app_id = $1 order by version desc limit $2 offset $3) as page on true order by version desc")

/* A version of app $1 and what has changed in it since another one; since the one before it, when that is null. */
#define VERSION_SHOW_OF(shown, against)                                                                                \
    "select this.app_id, this.version, this.status, this.message, this.submitted_at, this.decided_at, "                \
    "other.version as against, (select coalesce(json_agg(json_build_object('field', key, 'before', before.value, "     \
    "'after', after.value) order by key), '[]') from jsonb_each(other.manifest) as before full join "                  \
    "jsonb_each(this.manifest) as after using (key) where coalesce(before.value, 'null') <> "                          \
    "coalesce(after.value, 'null')) as changes, this.manifest from review as this left join review as other on "       \
    "other.app_id = this.app_id and other.version = coalesce(" against ", (select max(version) from review where "     \
    "app_id = $1 and version < this.version)) where this.app_id = $1 and this.version = " shown

/* $2 version, $3 the one to compare with. */
QUERY(VERSION_SHOW, VERSION_SHOW_OF("$2", "$3::int"))

/* The newest, compared with the approved one. */
#define OF_LISTING(column) "(select " column " from listing where app_id = $1 and not is_deleted)"
QUERY(REVIEW_SHOW, VERSION_SHOW_OF(OF_LISTING("review_number"), OF_LISTING("nullif(approved_version, review_number)")))
