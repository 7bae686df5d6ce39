--
-- PostgreSQL database dump
--

\restrict B6csFU0chRnwyglee2zxGJqsSL5clOcdt2ONnGvyIH91rlvtnb44EpCVt5iDmFz

-- Dumped from database version 15.18 (Debian 15.18-0+deb12u1)
-- Dumped by pg_dump version 15.18 (Debian 15.18-0+deb12u1)

-- Started on 2026-11-26 05:32:57 UTC

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

DROP DATABASE IF EXISTS a;
--
-- TOC entry 3422 (class 1262 OID 16384)
-- Name: a; Type: DATABASE; Schema: -; Owner: app
--

CREATE DATABASE a WITH TEMPLATE = template0 ENCODING = 'UTF8' LOCALE_PROVIDER = libc LOCALE = 'C.UTF-8';


ALTER DATABASE a OWNER TO app;

\unrestrict B6csFU0chRnwyglee2zxGJqsSL5clOcdt2ONnGvyIH91rlvtnb44EpCVt5iDmFz
\connect a
\restrict B6csFU0chRnwyglee2zxGJqsSL5clOcdt2ONnGvyIH91rlvtnb44EpCVt5iDmFz

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
-- TOC entry 6 (class 2615 OID 16386)
-- Name: shop; Type: SCHEMA; Schema: -; Owner: app
--

CREATE SCHEMA shop;


ALTER SCHEMA shop OWNER TO app;

--
-- TOC entry 875 (class 1247 OID 16457)
-- Name: positive; Type: DOMAIN; Schema: public; Owner: app
--

CREATE DOMAIN public.positive AS integer
	CONSTRAINT positive_check CHECK ((VALUE > 0));


ALTER DOMAIN public.positive OWNER TO app;

--
-- TOC entry 851 (class 1247 OID 16388)
-- Name: mood; Type: TYPE; Schema: shop; Owner: app
--

CREATE TYPE shop.mood AS ENUM (
    'sad',
    'ok',
    'happy'
);


ALTER TYPE shop.mood OWNER TO app;

--
-- TOC entry 228 (class 1255 OID 16449)
-- Name: add(integer, integer); Type: FUNCTION; Schema: public; Owner: app
--

CREATE FUNCTION public.add(a integer, b integer DEFAULT 1) RETURNS integer
    LANGUAGE sql IMMUTABLE
    BEGIN ATOMIC
 SELECT (a + b);
END;


ALTER FUNCTION public.add(a integer, b integer) OWNER TO app;

--
-- TOC entry 227 (class 1255 OID 16395)
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
-- TOC entry 3424 (class 0 OID 0)
-- Dependencies: 227
-- Name: FUNCTION touch(); Type: COMMENT; Schema: shop; Owner: app
--

COMMENT ON FUNCTION shop.touch() IS 'touches';


--
-- TOC entry 224 (class 1259 OID 16450)
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
-- TOC entry 219 (class 1259 OID 16407)
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
-- TOC entry 3425 (class 0 OID 0)
-- Dependencies: 219
-- Name: TABLE "order items"; Type: COMMENT; Schema: shop; Owner: app
--

COMMENT ON TABLE shop."order items" IS 'a
--
-- Name: forged too; Type: TABLE; Schema: public; Owner: -
--
';


--
-- TOC entry 3426 (class 0 OID 0)
-- Dependencies: 219
-- Name: COLUMN "order items".id; Type: COMMENT; Schema: shop; Owner: app
--

COMMENT ON COLUMN shop."order items".id IS 'E''\';


--
-- TOC entry 220 (class 1259 OID 16432)
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
-- TOC entry 223 (class 1259 OID 16444)
-- Name: mat; Type: MATERIALIZED VIEW; Schema: public; Owner: app
--

CREATE MATERIALIZED VIEW public.mat AS
 SELECT 1 AS one
  WITH NO DATA;


ALTER TABLE public.mat OWNER TO app;

--
-- TOC entry 216 (class 1259 OID 16397)
-- Name: orgs; Type: TABLE; Schema: public; Owner: app
--

CREATE TABLE public.orgs (
    id integer NOT NULL,
    name text
);


ALTER TABLE public.orgs OWNER TO app;

--
-- TOC entry 215 (class 1259 OID 16396)
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
-- TOC entry 3428 (class 0 OID 0)
-- Dependencies: 215
-- Name: orgs_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: app
--

ALTER SEQUENCE public.orgs_id_seq OWNED BY public.orgs.id;


--
-- TOC entry 221 (class 1259 OID 16436)
-- Name: parts; Type: TABLE; Schema: public; Owner: app
--

CREATE TABLE public.parts (
    id integer,
    at date
)
PARTITION BY RANGE (at);


ALTER TABLE public.parts OWNER TO app;

--
-- TOC entry 222 (class 1259 OID 16439)
-- Name: parts_1; Type: TABLE; Schema: public; Owner: app
--

CREATE TABLE public.parts_1 (
    id integer,
    at date
);


ALTER TABLE public.parts_1 OWNER TO app;

--
-- TOC entry 226 (class 1259 OID 16459)
-- Name: sub; Type: TABLE; Schema: public; Owner: app
--

CREATE TABLE public.sub (
    extra public.positive
)
INHERITS (public.orgs);


ALTER TABLE public.sub OWNER TO app;

--
-- TOC entry 225 (class 1259 OID 16451)
-- Name: uses; Type: TABLE; Schema: public; Owner: app
--

CREATE TABLE public.uses (
    id integer DEFAULT nextval('public.free_seq'::regclass),
    c integer DEFAULT public.add(1, 2)
);


ALTER TABLE public.uses OWNER TO app;

--
-- TOC entry 217 (class 1259 OID 16405)
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
-- TOC entry 3429 (class 0 OID 0)
-- Dependencies: 217
-- Name: order items_id_seq; Type: SEQUENCE OWNED BY; Schema: shop; Owner: app
--

ALTER SEQUENCE shop."order items_id_seq" OWNED BY shop."order items".id;


--
-- TOC entry 218 (class 1259 OID 16406)
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
-- TOC entry 3238 (class 0 OID 0)
-- Name: parts_1; Type: TABLE ATTACH; Schema: public; Owner: app
--

ALTER TABLE ONLY public.parts ATTACH PARTITION public.parts_1 FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');


--
-- TOC entry 3239 (class 2604 OID 16400)
-- Name: orgs id; Type: DEFAULT; Schema: public; Owner: app
--

ALTER TABLE ONLY public.orgs ALTER COLUMN id SET DEFAULT nextval('public.orgs_id_seq'::regclass);


--
-- TOC entry 3244 (class 2604 OID 16462)
-- Name: sub id; Type: DEFAULT; Schema: public; Owner: app
--

ALTER TABLE ONLY public.sub ALTER COLUMN id SET DEFAULT nextval('public.orgs_id_seq'::regclass);


--
-- TOC entry 3240 (class 2604 OID 16410)
-- Name: order items id; Type: DEFAULT; Schema: shop; Owner: app
--

ALTER TABLE ONLY shop."order items" ALTER COLUMN id SET DEFAULT nextval('shop."order items_id_seq"'::regclass);


--
-- TOC entry 3408 (class 0 OID 16397)
-- Dependencies: 216
-- Data for Name: orgs; Type: TABLE DATA; Schema: public; Owner: app
--

INSERT INTO public.orgs VALUES (1, 'one');
INSERT INTO public.orgs VALUES (2, 'two
--
-- Name: x; Type: TABLE; Schema: public; Owner: -
--');
INSERT INTO public.orgs VALUES (3, '\.');
INSERT INTO public.orgs VALUES (4, '\');
INSERT INTO public.orgs VALUES (5, NULL);


--
-- TOC entry 3412 (class 0 OID 16439)
-- Dependencies: 222
-- Data for Name: parts_1; Type: TABLE DATA; Schema: public; Owner: app
--



--
-- TOC entry 3416 (class 0 OID 16459)
-- Dependencies: 226
-- Data for Name: sub; Type: TABLE DATA; Schema: public; Owner: app
--



--
-- TOC entry 3415 (class 0 OID 16451)
-- Dependencies: 225
-- Data for Name: uses; Type: TABLE DATA; Schema: public; Owner: app
--



--
-- TOC entry 3411 (class 0 OID 16407)
-- Dependencies: 219
-- Data for Name: order items; Type: TABLE DATA; Schema: shop; Owner: app
--

INSERT INTO shop."order items" OVERRIDING SYSTEM VALUE VALUES (1, NULL, 1, 'ok', '--$$', 1);
INSERT INTO shop."order items" OVERRIDING SYSTEM VALUE VALUES (2, NULL, 2, 'ok', '-- Name: x; Type: TABLE; Schema: public; Owner: -$$', 2);
INSERT INTO shop."order items" OVERRIDING SYSTEM VALUE VALUES (3, NULL, 3, 'ok', '-- Data for Name: x; Type: TABLE DATA; Schema: public; Owner: -$$', 3);


--
-- TOC entry 3430 (class 0 OID 0)
-- Dependencies: 224
-- Name: free_seq; Type: SEQUENCE SET; Schema: public; Owner: app
--

SELECT pg_catalog.setval('public.free_seq', 1, false);


--
-- TOC entry 3431 (class 0 OID 0)
-- Dependencies: 215
-- Name: orgs_id_seq; Type: SEQUENCE SET; Schema: public; Owner: app
--

SELECT pg_catalog.setval('public.orgs_id_seq', 5, true);


--
-- TOC entry 3432 (class 0 OID 0)
-- Dependencies: 217
-- Name: order items_id_seq; Type: SEQUENCE SET; Schema: shop; Owner: app
--

SELECT pg_catalog.setval('shop."order items_id_seq"', 3, true);


--
-- TOC entry 3433 (class 0 OID 0)
-- Dependencies: 218
-- Name: order items_n_seq; Type: SEQUENCE SET; Schema: shop; Owner: app
--

SELECT pg_catalog.setval('shop."order items_n_seq"', 3, true);


--
-- TOC entry 3247 (class 2606 OID 16404)
-- Name: orgs orgs_pkey; Type: CONSTRAINT; Schema: public; Owner: app
--

ALTER TABLE ONLY public.orgs
    ADD CONSTRAINT orgs_pkey PRIMARY KEY (id);


--
-- TOC entry 3250 (class 2606 OID 16418)
-- Name: order items order items_note_key; Type: CONSTRAINT; Schema: shop; Owner: app
--

ALTER TABLE ONLY shop."order items"
    ADD CONSTRAINT "order items_note_key" UNIQUE (note);


--
-- TOC entry 3252 (class 2606 OID 16416)
-- Name: order items order items_pkey; Type: CONSTRAINT; Schema: shop; Owner: app
--

ALTER TABLE ONLY shop."order items"
    ADD CONSTRAINT "order items_pkey" PRIMARY KEY (id);


--
-- TOC entry 3253 (class 1259 OID 16442)
-- Name: parts_id_idx; Type: INDEX; Schema: public; Owner: app
--

CREATE INDEX parts_id_idx ON ONLY public.parts USING btree (id);


--
-- TOC entry 3254 (class 1259 OID 16443)
-- Name: parts_1_id_idx; Type: INDEX; Schema: public; Owner: app
--

CREATE INDEX parts_1_id_idx ON public.parts_1 USING btree (id);


--
-- TOC entry 3248 (class 1259 OID 16429)
-- Name: by mood; Type: INDEX; Schema: shop; Owner: app
--

CREATE INDEX "by mood" ON shop."order items" USING btree (mood, note);


--
-- TOC entry 3434 (class 0 OID 0)
-- Dependencies: 3248
-- Name: INDEX "by mood"; Type: COMMENT; Schema: shop; Owner: app
--

COMMENT ON INDEX shop."by mood" IS 'by mood';


--
-- TOC entry 3255 (class 0 OID 0)
-- Name: parts_1_id_idx; Type: INDEX ATTACH; Schema: public; Owner: app
--

ALTER INDEX public.parts_id_idx ATTACH PARTITION public.parts_1_id_idx;


--
-- TOC entry 3256 (class 3381 OID 16448)
-- Name: st; Type: STATISTICS; Schema: shop; Owner: app
--

CREATE STATISTICS shop.st ON org, note FROM shop."order items";


ALTER STATISTICS shop.st OWNER TO app;

--
-- TOC entry 3404 (class 2618 OID 16465)
-- Name: orgs r; Type: RULE; Schema: public; Owner: app
--

CREATE RULE r AS
    ON DELETE TO public.orgs DO INSTEAD NOTHING;


--
-- TOC entry 3259 (class 2620 OID 16430)
-- Name: order items touching; Type: TRIGGER; Schema: shop; Owner: app
--

CREATE TRIGGER touching BEFORE INSERT ON shop."order items" FOR EACH ROW EXECUTE FUNCTION shop.touch();


--
-- TOC entry 3257 (class 2606 OID 16424)
-- Name: order items order items_org_fkey; Type: FK CONSTRAINT; Schema: shop; Owner: app
--

ALTER TABLE ONLY shop."order items"
    ADD CONSTRAINT "order items_org_fkey" FOREIGN KEY (org) REFERENCES public.orgs(id);


--
-- TOC entry 3258 (class 2606 OID 16419)
-- Name: order items order items_parent_fkey; Type: FK CONSTRAINT; Schema: shop; Owner: app
--

ALTER TABLE ONLY shop."order items"
    ADD CONSTRAINT "order items_parent_fkey" FOREIGN KEY (parent) REFERENCES shop."order items"(id);


--
-- TOC entry 3406 (class 3256 OID 16431)
-- Name: order items everyone; Type: POLICY; Schema: shop; Owner: app
--

CREATE POLICY everyone ON shop."order items" FOR SELECT USING (true);


--
-- TOC entry 3405 (class 0 OID 16407)
-- Dependencies: 219
-- Name: order items; Type: ROW SECURITY; Schema: shop; Owner: app
--

ALTER TABLE shop."order items" ENABLE ROW LEVEL SECURITY;

--
-- TOC entry 3423 (class 0 OID 0)
-- Dependencies: 6
-- Name: SCHEMA shop; Type: ACL; Schema: -; Owner: app
--

GRANT USAGE ON SCHEMA shop TO reader;


--
-- TOC entry 3427 (class 0 OID 0)
-- Dependencies: 219
-- Name: TABLE "order items"; Type: ACL; Schema: shop; Owner: app
--

GRANT SELECT ON TABLE shop."order items" TO reader;


--
-- TOC entry 3413 (class 0 OID 16444)
-- Dependencies: 223 3418
-- Name: mat; Type: MATERIALIZED VIEW DATA; Schema: public; Owner: app
--

REFRESH MATERIALIZED VIEW public.mat;


-- Completed on 2026-11-26 05:32:57 UTC

--
-- PostgreSQL database dump complete
--

\unrestrict B6csFU0chRnwyglee2zxGJqsSL5clOcdt2ONnGvyIH91rlvtnb44EpCVt5iDmFz

