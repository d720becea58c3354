/**
 * One jsonb document `description` for relation $1.$2 (schema, name); no row when there is none.
 * One query, so that all of it comes from one catalog snapshot. Runs on PostgreSQL 14 and later with any `search_path`.
 */
export const tableDescriptionSql = `
with recursive rel as (
  select c.oid, c.relname, n.nspname, c.relkind, c.relpersistence, c.relowner, c.relrowsecurity, c.relispartition
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where n.nspname = $1 and c.relname = $2 and c.relkind in ('r', 'p', 'f', 'v', 'm', 'S', 'c')
), att as (
  select a.attrelid, a.attnum, a.attname, a.atttypid, a.atttypmod, a.attnotnull, a.attcollation, a.attgenerated, a.attidentity
  from rel
  join pg_catalog.pg_attribute a on a.attrelid = rel.oid
  where a.attnum > 0 and not a.attisdropped
), typ(oid) as (
  select atttypid from att
  union
  select part.oid
  from typ
  join pg_catalog.pg_type t on t.oid = typ.oid
  cross join lateral (
    select t.typbasetype where t.typtype = 'd'
    union all select t.typelem where t.typcategory = 'A'
    union all select r.rngsubtype from pg_catalog.pg_range r where r.rngtypid = t.oid
    union all select r.rngtypid from pg_catalog.pg_range r where r.rngmultitypid = t.oid
    union all
    select f.atttypid from pg_catalog.pg_attribute f
    where f.attrelid = t.typrelid and t.typtype = 'c' and f.attnum > 0 and not f.attisdropped
  ) part(oid)
)
select pg_catalog.jsonb_build_object(
  'relation', pg_catalog.jsonb_build_object(
    'oid', rel.oid::text,
    'table', ${tableJson('rel')},
    'kind', ${kindOf('rel')},
    'persistence', ${persistenceOf('rel')},
    'system', rel.nspname in ('pg_catalog', 'information_schema', 'pg_toast', 'pgrep') or rel.nspname ^@ 'pg_temp',
    'owner', pg_catalog.pg_get_userbyid(rel.relowner),
    'rowSecurity', rel.relrowsecurity,
    'partitionOf', ${parents('rel.relispartition')} -> 0,
    'inheritsFrom', ${parents('not rel.relispartition')},
    'inheritedBy', (
      select coalesce(pg_catalog.jsonb_agg(${tableJson('x')} order by x.nspname, x.relname), '[]')
      from (
        select n.nspname, c.relname
        from pg_catalog.pg_inherits i
        join pg_catalog.pg_class c on c.oid = i.inhrelid
        join pg_catalog.pg_namespace n on n.oid = c.relnamespace
        where i.inhparent = rel.oid and not c.relispartition
      ) x
    )
  ),
  'columns', (
    select coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
      'name', a.attname,
      'number', a.attnum,
      'typeOid', a.atttypid::text,
      'typmod', a.atttypmod,
      'formattedType', pg_catalog.format_type(a.atttypid, a.atttypmod),
      'collation', case when a.attcollation <> t.typcollation
        then pg_catalog.quote_ident(cn.nspname) || '.' || pg_catalog.quote_ident(co.collname) end,
      'deterministic', coalesce(co.collisdeterministic, true),
      'notNull', a.attnotnull and not exists (
        select from pg_catalog.pg_constraint k
        where k.conrelid = a.attrelid and k.contype = 'n' and k.conkey = array[a.attnum] and not k.convalidated),
      'generated', case a.attgenerated when 's' then 'stored' when 'v' then 'virtual' else 'no' end,
      'identity', case a.attidentity when 'a' then 'always' when 'd' then 'byDefault' else 'no' end,
      'defaultExpression', case when a.attgenerated = '' then pg_catalog.pg_get_expr(d.adbin, d.adrelid) end
    ) order by a.attnum), '[]')
    from att a
    join pg_catalog.pg_type t on t.oid = a.atttypid
    left join pg_catalog.pg_collation co on co.oid = a.attcollation
    left join pg_catalog.pg_namespace cn on cn.oid = co.collnamespace
    left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
  ),
  'uniqueIndexes', (
    select coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
      'name', ic.relname,
      'columns', (
        select pg_catalog.jsonb_agg(coalesce(a.attname, '') order by k.place)
        from pg_catalog.unnest(i.indkey::smallint[]) with ordinality k(attnum, place)
        left join att a on a.attnum = k.attnum
        where k.place <= i.indnkeyatts
      ),
      'primary', i.indisprimary,
      'problem', case
        when not (i.indisvalid and i.indisready and i.indislive) then 'invalid'
        when i.indpred is not null then 'partial'
        when i.indexprs is not null then 'expression'
        when i.indisexclusion then 'withoutOverlaps'
        when not i.indimmediate then 'deferrable' end
    ) order by i.indisprimary desc, ic.relname), '[]')
    from pg_catalog.pg_index i
    join pg_catalog.pg_class ic on ic.oid = i.indexrelid
    where i.indrelid = rel.oid and i.indisunique
  ),
  'partitions', (
    select coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
      'oid', p.oid::text,
      'table', ${tableJson('p')},
      'kind', ${kindOf('p')},
      'persistence', ${persistenceOf('p')},
      'leaf', p.isleaf
    ) order by p.level, p.nspname, p.relname), '[]')
    from (
      select c.oid, n.nspname, c.relname, c.relkind, c.relpersistence, tree.isleaf, tree.level
      from pg_catalog.pg_partition_tree(rel.oid) tree
      join pg_catalog.pg_class c on c.oid = tree.relid
      join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where tree.level > 0 and rel.relkind = 'p'
    ) p
  ),
  'types', (
    select coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
      'oid', t.oid::text,
      'schema', n.nspname,
      'name', t.typname,
      'sql', case when n.nspname = 'pg_catalog' then pg_catalog.format_type(t.oid, -1)
        when t.typcategory = 'A' and t.typtype = 'b' and e.oid is not null
          then pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(e.typname) || '[]'
        else pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(t.typname) end,
      'kind', case
        when t.typcategory = 'A' and t.typtype = 'b' then 'array'
        else case t.typtype when 'e' then 'enum' when 'd' then 'domain' when 'c' then 'composite'
          when 'r' then 'range' when 'm' then 'multirange' when 'p' then 'pseudo' else 'base' end end,
      'hasArray', t.typarray <> 0,
      'of', nullif(case
        when t.typtype = 'd' then t.typbasetype
        when t.typcategory = 'A' then t.typelem
        when t.typtype = 'r' then (select r.rngsubtype from pg_catalog.pg_range r where r.rngtypid = t.oid)
        when t.typtype = 'm' then (select r.rngtypid from pg_catalog.pg_range r where r.rngmultitypid = t.oid)
        else 0 end, 0)::text,
      'labels', (
        select coalesce(pg_catalog.jsonb_agg(e.enumlabel order by e.enumsortorder), '[]')
        from pg_catalog.pg_enum e where e.enumtypid = t.oid
      ),
      'attributes', (
        select coalesce(pg_catalog.jsonb_agg(
          pg_catalog.jsonb_build_object('name', f.attname, 'typeOid', f.atttypid::text) order by f.attnum), '[]')
        from pg_catalog.pg_attribute f
        where f.attrelid = t.typrelid and t.typtype = 'c' and f.attnum > 0 and not f.attisdropped
      )
    )), '[]')
    from typ
    join pg_catalog.pg_type t on t.oid = typ.oid
    left join pg_catalog.pg_type e on e.oid = t.typelem and t.typelem <> 0
    join pg_catalog.pg_namespace n on n.oid = t.typnamespace
  )
) as description
from rel`;

function tableJson(alias: string): string {
  return `pg_catalog.jsonb_build_object('schema', ${alias}.nspname, 'name', ${alias}.relname)`;
}

function kindOf(alias: string): string {
  return `case ${alias}.relkind when 'r' then 'table' when 'p' then 'partitioned' when 'f' then 'foreign' when 'v' then 'view'
      when 'm' then 'materializedView' when 'S' then 'sequence' else 'other' end`;
}

function persistenceOf(alias: string): string {
  return `case ${alias}.relpersistence when 'p' then 'permanent' when 'u' then 'unlogged' else 'temporary' end`;
}

function parents(condition: string): string {
  return `(
      select coalesce(pg_catalog.jsonb_agg(${tableJson('x')} order by x.nspname, x.relname), '[]')
      from (
        select n.nspname, c.relname
        from pg_catalog.pg_inherits i
        join pg_catalog.pg_class c on c.oid = i.inhparent
        join pg_catalog.pg_namespace n on n.oid = c.relnamespace
        where i.inhrelid = rel.oid and ${condition}
      ) x
    )`;
}
