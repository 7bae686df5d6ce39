--
-- PostgreSQL database cluster dump
--

\restrict QK9ei6TWFkPy8yRHT03yR00gwfh1puBaZthtUMRpQEdzkXybNkhMNfI0XDF6Kbu

SET default_transaction_read_only = off;

SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;

--
-- Roles
--

CREATE ROLE app;
ALTER ROLE app WITH SUPERUSER INHERIT CREATEROLE CREATEDB LOGIN REPLICATION BYPASSRLS;
CREATE ROLE reader;
ALTER ROLE reader WITH NOSUPERUSER INHERIT NOCREATEROLE NOCREATEDB NOLOGIN NOREPLICATION NOBYPASSRLS;

--
-- User Configurations
--








\unrestrict QK9ei6TWFkPy8yRHT03yR00gwfh1puBaZthtUMRpQEdzkXybNkhMNfI0XDF6Kbu

--
-- Databases
--

--
-- Database "template1" dump
--

\connect template1

--
-- PostgreSQL database dump
--

\restrict jFowg0GBoPHcGEEXHx4WWIJJhSlaGYS3dvKmA6NiUh3rpIYPk1CQUyfYW4TUM69

-- Dumped from database version 15.18 (Debian 15.18-0+deb12u1)
-- Dumped by pg_dump version 15.18 (Debian 15.18-0+deb12u1)

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- PostgreSQL database dump complete
--

\unrestrict jFowg0GBoPHcGEEXHx4WWIJJhSlaGYS3dvKmA6NiUh3rpIYPk1CQUyfYW4TUM69

--
-- Database "a" dump
--

--
-- PostgreSQL database dump
--

\restrict XQdPe1N3OzGyYXykoqF50x8TvtLl7k3Q0pjrOr90zEm6bqm2Uxk2wSnj6fa1rZw

-- Dumped from database version 15.18 (Debian 15.18-0+deb12u1)
-- Dumped by pg_dump version 15.18 (Debian 15.18-0+deb12u1)

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Name: a; Type: DATABASE; Schema: -; Owner: app
--

CREATE DATABASE a WITH TEMPLATE = template0 ENCODING = 'UTF8' LOCALE_PROVIDER = libc LOCALE = 'C.UTF-8';


ALTER DATABASE a OWNER TO app;

\unrestrict XQdPe1N3OzGyYXykoqF50x8TvtLl7k3Q0pjrOr90zEm6bqm2Uxk2wSnj6fa1rZw
\connect a
\restrict XQdPe1N3OzGyYXykoqF50x8TvtLl7k3Q0pjrOr90zEm6bqm2Uxk2wSnj6fa1rZw

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Name: shop; Type: SCHEMA; Schema: -; Owner: app
--

CREATE SCHEMA shop;


ALTER SCHEMA shop OWNER TO app;

--
-- Name: positive; Type: DOMAIN; Schema: public; Owner: app
--

CREATE DOMAIN public.positive AS integer
	CONSTRAINT positive_check CHECK ((VALUE > 0));


ALTER DOMAIN public.positive OWNER TO app;

--
-- Name: mood; Type: TYPE; Schema: shop; Owner: app
--

CREATE TYPE shop.mood AS ENUM (
    'sad',
    'ok',
    'happy'
);


ALTER TYPE shop.mood OWNER TO app;

--
-- Name: add(integer, integer); Type: FUNCTION; Schema: public; Owner: app
--

CREATE FUNCTION public.add(a integer, b integer DEFAULT 1) RETURNS integer
    LANGUAGE sql IMMUTABLE
    BEGIN ATOMIC
 SELECT (a + b);
END;


ALTER FUNCTION public.add(a integer, b integer) OWNER TO app;

--
-- Name: touch(); Type: FUNCTION; Schema: shop; Owner: app
--

CREATE FUNCTION shop.touch() RETURNS trigger
    LANGUAGE plpgsql
    AS $_$
BEGIN
--
-- Name: forged; Type: TABLE; Schema: public; Owner: -
--
  NEW.note := coalesce(NEW.note, 'it''s') || '$$';
  RETURN NEW;
END $_$;


ALTER FUNCTION shop.touch() OWNER TO app;

--
-- Name: FUNCTION touch(); Type: COMMENT; Schema: shop; Owner: app
--

COMMENT ON FUNCTION shop.touch() IS 'touches';


--
-- Name: free_seq; Type: SEQUENCE; Schema: public; Owner: app
--

CREATE SEQUENCE public.free_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


ALTER TABLE public.free_seq OWNER TO app;

SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: order items; Type: TABLE; Schema: shop; Owner: app
--

CREATE TABLE shop."order items" (
    id integer NOT NULL,
    parent integer,
    org integer,
    mood shop.mood DEFAULT 'ok'::shop.mood,
    note text,
    n integer NOT NULL,
    CONSTRAINT "order items_note_check" CHECK ((note <> ''::text))
);


ALTER TABLE shop."order items" OWNER TO app;

--
-- Name: TABLE "order items"; Type: COMMENT; Schema: shop; Owner: app
--

COMMENT ON TABLE shop."order items" IS 'a
--
-- Name: forged too; Type: TABLE; Schema: public; Owner: -
--
';


--
-- Name: COLUMN "order items".id; Type: COMMENT; Schema: shop; Owner: app
--

COMMENT ON COLUMN shop."order items".id IS 'E''\';


--
-- Name: happy; Type: VIEW; Schema: public; Owner: app
--

CREATE VIEW public.happy AS
 SELECT "order items".id,
    '--
-- Name: v; Type: TABLE; Schema: public; Owner: -'::text AS t
   FROM shop."order items"
  WHERE ("order items".mood = 'happy'::shop.mood);


ALTER TABLE public.happy OWNER TO app;

--
-- Name: mat; Type: MATERIALIZED VIEW; Schema: public; Owner: app
--

CREATE MATERIALIZED VIEW public.mat AS
 SELECT 1 AS one
  WITH NO DATA;


ALTER TABLE public.mat OWNER TO app;

--
-- Name: orgs; Type: TABLE; Schema: public; Owner: app
--

CREATE TABLE public.orgs (
    id integer NOT NULL,
    name text
);


ALTER TABLE public.orgs OWNER TO app;

--
-- Name: orgs_id_seq; Type: SEQUENCE; Schema: public; Owner: app
--

CREATE SEQUENCE public.orgs_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


ALTER TABLE public.orgs_id_seq OWNER TO app;

--
-- Name: orgs_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: app
--

ALTER SEQUENCE public.orgs_id_seq OWNED BY public.orgs.id;


--
-- Name: parts; Type: TABLE; Schema: public; Owner: app
--

CREATE TABLE public.parts (
    id integer,
    at date
)
PARTITION BY RANGE (at);


ALTER TABLE public.parts OWNER TO app;

--
-- Name: parts_1; Type: TABLE; Schema: public; Owner: app
--

CREATE TABLE public.parts_1 (
    id integer,
    at date
);


ALTER TABLE public.parts_1 OWNER TO app;

--
-- Name: sub; Type: TABLE; Schema: public; Owner: app
--

CREATE TABLE public.sub (
    extra public.positive
)
INHERITS (public.orgs);


ALTER TABLE public.sub OWNER TO app;

--
-- Name: uses; Type: TABLE; Schema: public; Owner: app
--

CREATE TABLE public.uses (
    id integer DEFAULT nextval('public.free_seq'::regclass),
    c integer DEFAULT public.add(1, 2)
);


ALTER TABLE public.uses OWNER TO app;

--
-- Name: order items_id_seq; Type: SEQUENCE; Schema: shop; Owner: app
--

CREATE SEQUENCE shop."order items_id_seq"
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


ALTER TABLE shop."order items_id_seq" OWNER TO app;

--
-- Name: order items_id_seq; Type: SEQUENCE OWNED BY; Schema: shop; Owner: app
--

ALTER SEQUENCE shop."order items_id_seq" OWNED BY shop."order items".id;


--
-- Name: order items_n_seq; Type: SEQUENCE; Schema: shop; Owner: app
--

ALTER TABLE shop."order items" ALTER COLUMN n ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME shop."order items_n_seq"
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: parts_1; Type: TABLE ATTACH; Schema: public; Owner: app
--

ALTER TABLE ONLY public.parts ATTACH PARTITION public.parts_1 FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');


--
-- Name: orgs id; Type: DEFAULT; Schema: public; Owner: app
--

ALTER TABLE ONLY public.orgs ALTER COLUMN id SET DEFAULT nextval('public.orgs_id_seq'::regclass);


--
-- Name: sub id; Type: DEFAULT; Schema: public; Owner: app
--

ALTER TABLE ONLY public.sub ALTER COLUMN id SET DEFAULT nextval('public.orgs_id_seq'::regclass);


--
-- Name: order items id; Type: DEFAULT; Schema: shop; Owner: app
--

ALTER TABLE ONLY shop."order items" ALTER COLUMN id SET DEFAULT nextval('shop."order items_id_seq"'::regclass);


--
-- Data for Name: orgs; Type: TABLE DATA; Schema: public; Owner: app
--

COPY public.orgs (id, name) FROM stdin;
1	one
2	two\n--\n-- Name: x; Type: TABLE; Schema: public; Owner: -\n--
3	\\.
4	\\
5	\N
\.


--
-- Data for Name: parts_1; Type: TABLE DATA; Schema: public; Owner: app
--

COPY public.parts_1 (id, at) FROM stdin;
\.


--
-- Data for Name: sub; Type: TABLE DATA; Schema: public; Owner: app
--

COPY public.sub (id, name, extra) FROM stdin;
\.


--
-- Data for Name: uses; Type: TABLE DATA; Schema: public; Owner: app
--

COPY public.uses (id, c) FROM stdin;
\.


--
-- Data for Name: order items; Type: TABLE DATA; Schema: shop; Owner: app
--

COPY shop."order items" (id, parent, org, mood, note, n) FROM stdin;
1	\N	1	ok	--$$	1
2	\N	2	ok	-- Name: x; Type: TABLE; Schema: public; Owner: -$$	2
3	\N	3	ok	-- Data for Name: x; Type: TABLE DATA; Schema: public; Owner: -$$	3
\.


--
-- Name: free_seq; Type: SEQUENCE SET; Schema: public; Owner: app
--

SELECT pg_catalog.setval('public.free_seq', 1, false);


--
-- Name: orgs_id_seq; Type: SEQUENCE SET; Schema: public; Owner: app
--

SELECT pg_catalog.setval('public.orgs_id_seq', 5, true);


--
-- Name: order items_id_seq; Type: SEQUENCE SET; Schema: shop; Owner: app
--

SELECT pg_catalog.setval('shop."order items_id_seq"', 3, true);


--
-- Name: order items_n_seq; Type: SEQUENCE SET; Schema: shop; Owner: app
--

SELECT pg_catalog.setval('shop."order items_n_seq"', 3, true);


--
-- Name: orgs orgs_pkey; Type: CONSTRAINT; Schema: public; Owner: app
--

ALTER TABLE ONLY public.orgs
    ADD CONSTRAINT orgs_pkey PRIMARY KEY (id);


--
-- Name: order items order items_note_key; Type: CONSTRAINT; Schema: shop; Owner: app
--

ALTER TABLE ONLY shop."order items"
    ADD CONSTRAINT "order items_note_key" UNIQUE (note);


--
-- Name: order items order items_pkey; Type: CONSTRAINT; Schema: shop; Owner: app
--

ALTER TABLE ONLY shop."order items"
    ADD CONSTRAINT "order items_pkey" PRIMARY KEY (id);


--
-- Name: parts_id_idx; Type: INDEX; Schema: public; Owner: app
--

CREATE INDEX parts_id_idx ON ONLY public.parts USING btree (id);


--
-- Name: parts_1_id_idx; Type: INDEX; Schema: public; Owner: app
--

CREATE INDEX parts_1_id_idx ON public.parts_1 USING btree (id);


--
-- Name: by mood; Type: INDEX; Schema: shop; Owner: app
--

CREATE INDEX "by mood" ON shop."order items" USING btree (mood, note);


--
-- Name: INDEX "by mood"; Type: COMMENT; Schema: shop; Owner: app
--

COMMENT ON INDEX shop."by mood" IS 'by mood';


--
-- Name: parts_1_id_idx; Type: INDEX ATTACH; Schema: public; Owner: app
--

ALTER INDEX public.parts_id_idx ATTACH PARTITION public.parts_1_id_idx;


--
-- Name: st; Type: STATISTICS; Schema: shop; Owner: app
--

CREATE STATISTICS shop.st ON org, note FROM shop."order items";


ALTER STATISTICS shop.st OWNER TO app;

--
-- Name: orgs r; Type: RULE; Schema: public; Owner: app
--

CREATE RULE r AS
    ON DELETE TO public.orgs DO INSTEAD NOTHING;


--
-- Name: order items touching; Type: TRIGGER; Schema: shop; Owner: app
--

CREATE TRIGGER touching BEFORE INSERT ON shop."order items" FOR EACH ROW EXECUTE FUNCTION shop.touch();


--
-- Name: order items order items_org_fkey; Type: FK CONSTRAINT; Schema: shop; Owner: app
--

ALTER TABLE ONLY shop."order items"
    ADD CONSTRAINT "order items_org_fkey" FOREIGN KEY (org) REFERENCES public.orgs(id);


--
-- Name: order items order items_parent_fkey; Type: FK CONSTRAINT; Schema: shop; Owner: app
--

ALTER TABLE ONLY shop."order items"
    ADD CONSTRAINT "order items_parent_fkey" FOREIGN KEY (parent) REFERENCES shop."order items"(id);


--
-- Name: order items everyone; Type: POLICY; Schema: shop; Owner: app
--

CREATE POLICY everyone ON shop."order items" FOR SELECT USING (true);


--
-- Name: order items; Type: ROW SECURITY; Schema: shop; Owner: app
--

ALTER TABLE shop."order items" ENABLE ROW LEVEL SECURITY;

--
-- Name: SCHEMA shop; Type: ACL; Schema: -; Owner: app
--

GRANT USAGE ON SCHEMA shop TO reader;


--
-- Name: TABLE "order items"; Type: ACL; Schema: shop; Owner: app
--

GRANT SELECT ON TABLE shop."order items" TO reader;


--
-- Name: mat; Type: MATERIALIZED VIEW DATA; Schema: public; Owner: app
--

REFRESH MATERIALIZED VIEW public.mat;


--
-- PostgreSQL database dump complete
--

\unrestrict XQdPe1N3OzGyYXykoqF50x8TvtLl7k3Q0pjrOr90zEm6bqm2Uxk2wSnj6fa1rZw

--
-- Database "postgres" dump
--

\connect postgres

--
-- PostgreSQL database dump
--

\restrict Xxwac5cfFrGV9Kvyz4k6crm05d3hcGPGASydGq6S6AII3VpLm2uxYVi9VPHJ4aW

-- Dumped from database version 15.18 (Debian 15.18-0+deb12u1)
-- Dumped by pg_dump version 15.18 (Debian 15.18-0+deb12u1)

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- PostgreSQL database dump complete
--

\unrestrict Xxwac5cfFrGV9Kvyz4k6crm05d3hcGPGASydGq6S6AII3VpLm2uxYVi9VPHJ4aW

--
-- PostgreSQL database cluster dump complete
--

