//! Lines against the elements that crmsh 4.4 made of them, and back.

use super::draft::{Draft, Mode};
use super::parse::{self, Statement};
use super::print;
use crate::cib::edit::Origin;
use crate::cib::{Cib, Edit, Element, schema};
use proptest::prelude::*;

/// The element with its attributes in the order of the alphabet: XML gives that order no meaning.
fn sorted(e: &Element) -> Element {
    let mut e = e.clone();
    e.attributes.sort();
    e.children = e.children.iter().map(sorted).collect();
    e
}

fn element_of(line: &str) -> Element {
    match parse::statement(line) {
        Ok(Some(Statement::Object(o))) => {
            let mut e = o.element;
            e.children
                .extend(o.members.iter().map(|m| Element::new("member").with("id", &m.id)));
            e
        }
        other => panic!("{line}: {other:?}"),
    }
}

/// A line, the XML of it as crmsh 4.4 and the classic shell write it, and what `show` prints where it differs from the line.
#[rustfmt::skip]
const OBJECTS: &[(&str, &str, &str)] = &[
    ("primitive vip ocf:heartbeat:IPaddr2 params ip=10.1.6.100 nic=br100 op monitor interval=3s",
     "<primitive id='vip' class='ocf' provider='heartbeat' type='IPaddr2'><instance_attributes id='vip-instance_attributes'><nvpair name='ip' value='10.1.6.100' id='vip-instance_attributes-ip'/><nvpair name='nic' value='br100' id='vip-instance_attributes-nic'/></instance_attributes><operations><op name='monitor' interval='3s' id='vip-monitor-3s'/></operations></primitive>",
     "primitive vip IPaddr2 \\\n\tparams ip=10.1.6.100 nic=br100 \\\n\top monitor interval=3s"),
    ("primitive www lsb:apache2 op monitor interval=\"10s\"",
     "<primitive id='www' class='lsb' type='apache2'><operations><op name='monitor' interval='10s' id='www-monitor-10s'/></operations></primitive>",
     "primitive www lsb:apache2 \\\n\top monitor interval=10s"),
    ("primitive  webip ocf:heartbeat:IPaddr  params ip=192.168.1.100  ",
     "<primitive id='webip' class='ocf' provider='heartbeat' type='IPaddr'><instance_attributes id='webip-instance_attributes'><nvpair name='ip' value='192.168.1.100' id='webip-instance_attributes-ip'/></instance_attributes></primitive>",
     "primitive webip IPaddr \\\n\tparams ip=192.168.1.100"),
    ("primitive webserver lsb:httpd", "<primitive id='webserver' class='lsb' type='httpd'/>", ""),
    ("primitive old heartbeat:IPaddr params 1=10.0.0.1",
     "<primitive id='old' class='heartbeat' type='IPaddr'><instance_attributes id='old-instance_attributes'><nvpair name='1' value='10.0.0.1' id='old-instance_attributes-1'/></instance_attributes></primitive>",
     "primitive old heartbeat:IPaddr \\\n\tparams 1=10.0.0.1"),
    ("primitive d1 Dummy meta target-role=Stopped",
     "<primitive id='d1' class='ocf' provider='heartbeat' type='Dummy'><meta_attributes id='d1-meta_attributes'><nvpair name='target-role' value='Stopped' id='d1-meta_attributes-target-role'/></meta_attributes></primitive>",
     "primitive d1 Dummy \\\n\tmeta target-role=Stopped"),
    ("primitive d1 ip=1 Dummy", "", ""),
    ("primitive d1 Dummy fake=1",
     "<primitive id='d1' class='ocf' provider='heartbeat' type='Dummy'><instance_attributes id='d1-instance_attributes'><nvpair name='fake' value='1' id='d1-instance_attributes-fake'/></instance_attributes></primitive>",
     "primitive d1 Dummy \\\n\tparams fake=1"),
    ("primitive fs Filesystem params device=\"/dev/a b\" op start timeout=60s op monitor interval=20s OCF_CHECK_LEVEL=10",
     "<primitive id='fs' class='ocf' provider='heartbeat' type='Filesystem'><instance_attributes id='fs-instance_attributes'><nvpair name='device' value='/dev/a b' id='fs-instance_attributes-device'/></instance_attributes><operations><op name='start' timeout='60s' interval='0' id='fs-start-0'/><op name='monitor' interval='20s' id='fs-monitor-20s'><instance_attributes id='fs-monitor-20s-instance_attributes'><nvpair name='OCF_CHECK_LEVEL' value='10' id='fs-monitor-20s-instance_attributes-OCF_CHECK_LEVEL'/></instance_attributes></op></operations></primitive>",
     "primitive fs Filesystem \\\n\tparams device=\"/dev/a b\" \\\n\top start timeout=60s interval=0 \\\n\top monitor interval=20s \\\n\top_params OCF_CHECK_LEVEL=10"),
    ("primitive b ocf:pacemaker:Dummy op monitor interval=10s role=Master op monitor interval=11s role=Slave op monitor interval=10s",
     "<primitive id='b' class='ocf' provider='pacemaker' type='Dummy'><operations><op name='monitor' interval='10s' role='Master' id='b-monitor-10s'/><op name='monitor' interval='11s' role='Slave' id='b-monitor-11s'/><op name='monitor' interval='10s' id='b-monitor-10s-0'/></operations></primitive>",
     "primitive b ocf:pacemaker:Dummy \\\n\top monitor interval=10s role=Master \\\n\top monitor interval=11s role=Slave \\\n\top monitor interval=10s"),
    ("primitive d2 Dummy operations $id=d2-ops op monitor interval=5",
     "<primitive id='d2' class='ocf' provider='heartbeat' type='Dummy'><operations id='d2-ops'><op name='monitor' interval='5' id='d2-ops-monitor-5'/></operations></primitive>",
     "primitive d2 Dummy \\\n\toperations $id=d2-ops \\\n\top monitor interval=5"),
    ("primitive vip Dummy params $id=foo fake=\"a\\\"b\" meta $id=\"bar\" priority=3",
     "<primitive id='vip' class='ocf' provider='heartbeat' type='Dummy'><instance_attributes id='foo'><nvpair name='fake' value='a&quot;b' id='foo-fake'/></instance_attributes><meta_attributes id='bar'><nvpair name='priority' value='3' id='bar-priority'/></meta_attributes></primitive>",
     "primitive vip Dummy \\\n\tparams $id=foo fake=\"a\\\"b\" \\\n\tmeta $id=bar priority=3"),
    ("primitive q1 Dummy params fake=1 params fake=2",
     "<primitive id='q1' class='ocf' provider='heartbeat' type='Dummy'><instance_attributes id='q1-instance_attributes'><nvpair name='fake' value='1' id='q1-instance_attributes-fake'/></instance_attributes><instance_attributes id='q1-instance_attributes-0'><nvpair name='fake' value='2' id='q1-instance_attributes-0-fake'/></instance_attributes></primitive>",
     "primitive q1 Dummy \\\n\tparams fake=1 \\\n\tparams fake=2"),
    ("primitive ft @tmpl params fake=3",
     "<primitive id='ft' template='tmpl'><instance_attributes id='ft-instance_attributes'><nvpair name='fake' value='3' id='ft-instance_attributes-fake'/></instance_attributes></primitive>",
     "primitive ft @tmpl \\\n\tparams fake=3"),
    ("rsc_template tmpl Dummy op monitor interval=7",
     "<template id='tmpl' class='ocf' provider='heartbeat' type='Dummy'><operations><op name='monitor' interval='7' id='tmpl-monitor-7'/></operations></template>",
     "rsc_template tmpl Dummy \\\n\top monitor interval=7"),
    ("primitive s1 stonith:external/ssh params hostlist=\"a b\"",
     "<primitive id='s1' class='stonith' type='external/ssh'><instance_attributes id='s1-instance_attributes'><nvpair name='hostlist' value='a b' id='s1-instance_attributes-hostlist'/></instance_attributes></primitive>",
     "primitive s1 stonith:external/ssh \\\n\tparams hostlist=\"a b\""),
    ("group  web  webip  webserver", "<group id='web'><member id='webip'/><member id='webserver'/></group>", "group web webip webserver"),
    ("clone cl d1 meta interleave=true", "<clone id='cl'><meta_attributes id='cl-meta_attributes'><nvpair name='interleave' value='true' id='cl-meta_attributes-interleave'/></meta_attributes><member id='d1'/></clone>", "clone cl d1 \\\n\tmeta interleave=true"),
    ("ms m st meta master-max=1", "<master id='m'><meta_attributes id='m-meta_attributes'><nvpair name='master-max' value='1' id='m-meta_attributes-master-max'/></meta_attributes><member id='st'/></master>", "ms m st \\\n\tmeta master-max=1"),
    ("master m st", "<master id='m'><member id='st'/></master>", "ms m st"),
    ("location compute-1 vip 200: compute-1", "<rsc_location id='compute-1' rsc='vip' score='200' node='compute-1'/>", ""),
    ("location l vip -infinity: n1", "<rsc_location id='l' rsc='vip' score='-INFINITY' node='n1'/>", "location l vip -inf: n1"),
    ("location w web rule -inf: not_defined pingd or pingd lte 0",
     "<rsc_location id='w' rsc='web'><rule score='-INFINITY' boolean-op='or' id='w-rule'><expression operation='not_defined' attribute='pingd' id='w-rule-expression'/><expression operation='lte' attribute='pingd' value='0' id='w-rule-expression-0'/></rule></rsc_location>",
     "location w web \\\n\trule -inf: not_defined pingd or pingd lte 0"),
    ("location lp y rule pingd: defined pingd",
     "<rsc_location id='lp' rsc='y'><rule score-attribute='pingd' id='lp-rule'><expression operation='defined' attribute='pingd' id='lp-rule-expression'/></rule></rsc_location>",
     "location lp y \\\n\trule pingd: defined pingd"),
    ("location m ms rule $role=Master 100: #uname eq node2",
     "<rsc_location id='m' rsc='ms'><rule role='Master' score='100' id='m-rule'><expression operation='eq' attribute='#uname' value='node2' id='m-rule-expression'/></rule></rsc_location>",
     "location m ms \\\n\trule $role=Master 100: #uname eq node2"),
    ("location l5 gg rule $id=myrule 50: #uname eq n1 and a lt b rule inf: x number:gt 3",
     "<rsc_location id='l5' rsc='gg'><rule id='myrule' score='50' boolean-op='and'><expression operation='eq' attribute='#uname' value='n1' id='myrule-expression'/><expression operation='lt' attribute='a' value='b' id='myrule-expression-0'/></rule><rule score='INFINITY' id='l5-rule'><expression operation='gt' attribute='x' type='number' value='3' id='l5-rule-expression'/></rule></rsc_location>",
     "location l5 gg \\\n\trule $id=myrule 50: #uname eq n1 and a lt b \\\n\trule inf: x number:gt 3"),
    ("location l6 { a b } inf: n1", "<rsc_location id='l6' score='INFINITY' node='n1'><resource_set id='l6-0'><resource_ref id='a'/><resource_ref id='b'/></resource_set></rsc_location>", ""),
    ("location l7 /d.*/ 100: n1", "<rsc_location id='l7' rsc-pattern='d.*' score='100' node='n1'/>", ""),
    ("location l8 gg rule inf: date lt 2010-01-01", "<rsc_location id='l8' rsc='gg'><rule score='INFINITY' id='l8-rule'><date_expression operation='lt' end='2010-01-01' id='l8-rule-expression'/></rule></rsc_location>", "location l8 gg \\\n\trule inf: date lt 2010-01-01"),
    ("location l9 gg rule inf: date in start=2010-01-01 end=2011-01-01", "<rsc_location id='l9' rsc='gg'><rule score='INFINITY' id='l9-rule'><date_expression operation='in_range' start='2010-01-01' end='2011-01-01' id='l9-rule-expression'/></rule></rsc_location>", "location l9 gg \\\n\trule inf: date in start=2010-01-01 end=2011-01-01"),
    ("location l10 gg rule inf: date spec hours=9-16 weekdays=1-5", "<rsc_location id='l10' rsc='gg'><rule score='INFINITY' id='l10-rule'><date_expression operation='date_spec' id='l10-rule-expression'><date_spec hours='9-16' weekdays='1-5' id='l10-rule-expression-date_spec'/></date_expression></rule></rsc_location>", "location l10 gg \\\n\trule inf: date spec hours=9-16 weekdays=1-5"),
    ("location l13 gg rule date in start=2010-01-01 years=3", "<rsc_location id='l13' rsc='gg'><rule score='INFINITY' id='l13-rule'><date_expression operation='in_range' start='2010-01-01' id='l13-rule-expression'><duration years='3' id='l13-rule-expression-duration'/></date_expression></rule></rsc_location>", "location l13 gg \\\n\trule inf: date in start=2010-01-01 years=3"),
    ("location l11 gg role=Started inf: n1", "<rsc_location id='l11' rsc='gg' role='Started' score='INFINITY' node='n1'/>", ""),
    ("location l12 a resource-discovery=never inf: n1", "<rsc_location id='l12' rsc='a' resource-discovery='never' score='INFINITY' node='n1'/>", ""),
    ("colocation vip_and_www inf: www vip", "<rsc_colocation id='vip_and_www' score='INFINITY' rsc='www' with-rsc='vip'/>", ""),
    ("collocation c INFINITY: web ms_st:Master", "<rsc_colocation id='c' score='INFINITY' rsc='web' with-rsc='ms_st' with-rsc-role='Master'/>", "colocation c inf: web ms_st:Master"),
    ("colocation s inf: a b c", "<rsc_colocation id='s' score='INFINITY'><resource_set id='s-0'><resource_ref id='a'/><resource_ref id='b'/><resource_ref id='c'/></resource_set></rsc_colocation>", ""),
    ("colocation c3 inf: ( a b ) vip", "<rsc_colocation id='c3' score='INFINITY'><resource_set sequential='false' id='c3-0'><resource_ref id='a'/><resource_ref id='b'/></resource_set><resource_set id='c3-1'><resource_ref id='vip'/></resource_set></rsc_colocation>", ""),
    ("colocation c4 -10: a b node-attribute=rack", "<rsc_colocation id='c4' score='-10' node-attribute='rack' rsc='a' with-rsc='b'/>", ""),
    ("colocation c5 inf: a:Started [ b vip ]", "<rsc_colocation id='c5' score='INFINITY'><resource_set role='Started' id='c5-0'><resource_ref id='a'/></resource_set><resource_set require-all='false' sequential='false' id='c5-1'><resource_ref id='b'/><resource_ref id='vip'/></resource_set></rsc_colocation>", ""),
    ("colocation c6 inf: a b sequential=false", "<rsc_colocation id='c6' score='INFINITY'><resource_set sequential='false' id='c6-0'><resource_ref id='a'/><resource_ref id='b'/></resource_set></rsc_colocation>", "colocation c6 inf: ( a b )"),
    ("order vip_and_www_order inf: vip www", "<rsc_order id='vip_and_www_order' kind='Mandatory' first='vip' then='www'/>", "order vip_and_www_order Mandatory: vip www"),
    ("order o mandatory: vip www", "<rsc_order id='o' kind='Mandatory' first='vip' then='www'/>", "order o Mandatory: vip www"),
    ("order o inf: ms_st:promote web:start", "<rsc_order id='o' kind='Mandatory' first='ms_st' first-action='promote' then='web' then-action='start'/>", "order o Mandatory: ms_st:promote web:start"),
    ("order o 0: a b symmetrical=false", "<rsc_order id='o' kind='Optional' symmetrical='false' first='a' then='b'/>", "order o Optional: a b symmetrical=false"),
    ("order o5 500: a b", "<rsc_order id='o5' kind='Mandatory' first='a' then='b'/>", "order o5 Mandatory: a b"),
    ("order o8 a b", "<rsc_order id='o8' first='a' then='b'/>", ""),
    ("order s inf: ( d1 vip ) y1", "<rsc_order id='s' kind='Mandatory'><resource_set sequential='false' id='s-0'><resource_ref id='d1'/><resource_ref id='vip'/></resource_set><resource_set id='s-1'><resource_ref id='y1'/></resource_set></rsc_order>", "order s Mandatory: ( d1 vip ) y1"),
    ("order s inf: [ d1 y2 ] ms:promote y1:start", "<rsc_order id='s' kind='Mandatory'><resource_set require-all='false' sequential='false' id='s-0'><resource_ref id='d1'/><resource_ref id='y2'/></resource_set><resource_set action='promote' id='s-1'><resource_ref id='ms'/></resource_set><resource_set action='start' id='s-2'><resource_ref id='y1'/></resource_set></rsc_order>", "order s Mandatory: [ d1 y2 ] ms:promote y1:start"),
    ("order o6 Serialize: a b cl", "<rsc_order id='o6' kind='Serialize'><resource_set id='o6-0'><resource_ref id='a'/><resource_ref id='b'/><resource_ref id='cl'/></resource_set></rsc_order>", ""),
    ("rsc_ticket t1 tick: a b:Master loss-policy=fence", "<rsc_ticket id='t1' ticket='tick' loss-policy='fence'><resource_set id='t1-0'><resource_ref id='a'/></resource_set><resource_set role='Master' id='t1-1'><resource_ref id='b'/></resource_set></rsc_ticket>", ""),
    ("tag tg: a b", "<tag id='tg'><obj_ref id='a'/><obj_ref id='b'/></tag>", "tag tg a b"),
    ("fencing_topology n1: s1 n2: s1,s1 s2", "<fencing-topology><fencing-level target='n1' index='1' devices='s1' id='fencing'/><fencing-level target='n2' index='1' devices='s1,s1' id='fencing-0'/><fencing-level target='n2' index='2' devices='s2' id='fencing-1'/></fencing-topology>", "fencing_topology \\\n\tn1: s1 \\\n\tn2: s1,s1 s2"),
    ("property stonith-enabled=false", "<cluster_property_set id='cib-bootstrap-options'><nvpair name='stonith-enabled' value='false' id='cib-bootstrap-options-stonith-enabled'/></cluster_property_set>", "property cib-bootstrap-options: \\\n\tstonith-enabled=false"),
    ("property default-action-timeout=60", "<cluster_property_set id='cib-bootstrap-options'><nvpair name='default-action-timeout' value='60' id='cib-bootstrap-options-default-action-timeout'/></cluster_property_set>", "property cib-bootstrap-options: \\\n\tdefault-action-timeout=60"),
    ("property $id=\"other\" p1=v1", "<cluster_property_set id='other'><nvpair name='p1' value='v1' id='other-p1'/></cluster_property_set>", "property other: \\\n\tp1=v1"),
    ("rsc_defaults migration-threshold=1", "<rsc_defaults><meta_attributes id='rsc-options'><nvpair name='migration-threshold' value='1' id='rsc-options-migration-threshold'/></meta_attributes></rsc_defaults>", "rsc_defaults rsc-options: \\\n\tmigration-threshold=1"),
    ("op_defaults timeout=60", "<op_defaults><meta_attributes id='op-options'><nvpair name='timeout' value='60' id='op-options-timeout'/></meta_attributes></op_defaults>", "op_defaults op-options: \\\n\ttimeout=60"),
    ("node n1 attributes standby=on", "<node uname='n1'><instance_attributes id='nodes-n1'><nvpair name='standby' value='on' id='nodes-n1-standby'/></instance_attributes></node>", "node n1 \\\n\tattributes standby=on"),
    ("node n2 attributes $id=\"x\" standby=on", "<node uname='n2'><instance_attributes id='x'><nvpair name='standby' value='on' id='x-standby'/></instance_attributes></node>", "node n2 \\\n\tattributes $id=x standby=on"),
    ("node $id=\"7f1d\" n1:ping", "<node id='7f1d' uname='n1' type='ping'/>", "node 7f1d: n1:ping"),
    ("node 1: compute-1", "<node id='1' uname='compute-1'/>", ""),
    ("xml <primitive id='p' class='lsb' type='x'/>", "<primitive id='p' class='lsb' type='x'/>", "primitive p lsb:x"),
];

#[test]
fn a_line_becomes_the_element_that_the_classic_shell_made_of_it() {
    for (line, xml, _) in OBJECTS.iter().filter(|(_, xml, _)| !xml.is_empty()) {
        let expected = Element::parse(xml).unwrap();
        assert_eq!(
            sorted(&element_of(line)).to_bare(),
            sorted(&expected).to_bare(),
            "{line}"
        );
    }
}

#[test]
fn an_element_is_shown_as_the_classic_shell_shows_it() {
    for (line, _, shown) in OBJECTS.iter().filter(|(_, xml, _)| !xml.is_empty()) {
        let mut e = element_of(line);
        if let (true, Some(uname)) = (e.get("id").is_none(), e.get("uname").map(str::to_owned)) {
            e.set("id", uname);
        }
        for child in e.children.iter_mut().filter(|c| c.name == "member") {
            child.name = "primitive".to_owned();
        }
        let (section, e) = match &*e.name {
            "rsc_defaults" | "op_defaults" => (e.name.clone(), e.children.remove(0)),
            name => (parse::section_of(name).unwrap().to_owned(), e),
        };
        let expected = if shown.is_empty() { line } else { shown };
        assert_eq!(print::object(&section, &e), *expected, "{line}");
    }
}

/// Lines that are refused: the column, and what the complaint must name.
#[rustfmt::skip]
const REFUSED: &[(&str, usize, &str)] = &[
    ("primitive",                                     11, "a name for the resource"),
    ("primitive 1x lsb:a",                            11, "not starting with a digit"),
    ("primitive x",                                   13, "an agent"),
    ("primitive x ip=1",                              13, "an agent"),
    ("primitive x a:b:c",                             13, "an agent"),
    ("primitive x lsb:a wrong",                       19, "params, meta, utilization, operations or op"),
    ("primitive x lsb:a params",                      26, "NAME=VALUE"),
    ("primitive x lsb:a params a=1 a=2",              30, "given twice"),
    ("primitive x lsb:a op",                          22, "the name of an operation"),
    ("primitive x lsb:a op monitor interval=soon",    30, "a time"),
    ("primitive x lsb:a op monitor interval=1 params", 48, "NAME=VALUE"),
    ("primitive x lsb:a params a=\"1",                28, "never closed"),
    ("primitive x lsb:a meta $what=1",                24, "$id=ID"),
    ("group g",                                        9, "the name of a resource"),
    ("group g a a",                                   11, "named twice"),
    ("group g a /b",                                  11, "the name of a resource, params or meta"),
    ("clone c a b",                                   11, "holds one resource"),
    ("ms m",                                           6, "the name of a resource"),
    ("monitor",                                        9, "the name of a primitive"),
    ("monitor vip often",                             13, "a time"),
    ("monitor vip:Boss 10s",                           9, "ROLE"),
    ("location l vip node1",                          16, "a score and a colon"),
    ("location l vip 100 node1",                      16, "a score and a colon"),
    ("location l vip 100:",                           21, "the name of a node"),
    ("location l vip 100: n1 n2",                     24, "the end of the line"),
    ("location l { a b 100: n1",                      18, "RESOURCE"),
    ("location l vip rule 100: ",                     26, "an expression"),
    ("location l vip rule 100: a is b",               28, "one of lt, gt"),
    ("location l vip rule 100: a eq",                 31, "a value"),
    ("location l vip rule 100: ( a eq b )",           26, "an expression"),
    ("location l vip rule 100: a eq b or c eq d and e eq f", 43, "expected or"),
    ("location l vip rule 100: date in hours=3",      42, "start=DATE"),
    ("colocation c a b",                              14, "a score and a colon"),
    ("colocation c inf: a",                           21, "another resource"),
    ("colocation c inf: a b:Boss",                    23, "one of Master"),
    ("colocation c inf: ( a b",                       25, "\")\""),
    ("colocation c inf: ( ) a",                       21, "the name of a resource"),
    ("colocation c inf: ( a b:Master ) c",            23, "the role of the others"),
    ("colocation c inf: a b colour=red",              23, "node-attribute="),
    ("order o sometimes: a b",                         9, "Mandatory:, Optional:, Serialize:"),
    ("order o inf: a b:run",                          18, "start, stop, promote, demote"),
    ("order o inf: a b symmetrical=true c",           35, "NAME=VALUE"),
    ("property",                                      10, "NAME=VALUE"),
    ("property no-quorum-policy",                     10, "NAME=VALUE"),
    ("property a=1 b",                                14, "NAME=VALUE"),
    ("node n1:strange",                                6, "normal|member|ping|remote"),
    ("node n1 standby=on",                             9, "attributes or utilization"),
    ("tag t",                                          7, "the name of an object"),
    ("fencing_topology a",                            18, "a colon"),
    ("xml <a",                                         5, "an XML element"),
    ("xml <nvpair id='x'/>",                           5, "an object of the configuration"),
];

#[test]
fn a_line_that_cannot_be_understood_is_refused_with_its_column_and_what_was_expected() {
    for (line, column, what) in REFUSED {
        let complaint = parse::statement(line).expect_err(line);
        assert_eq!(complaint.column, *column, "{line}: {complaint}");
        assert!(complaint.what.contains(what), "{line}: {complaint}");
    }
}

const EMPTY: &str = "<cib validate-with='pacemaker-1.2'><configuration><nodes><node id='u1' uname='compute-1'/><node \
                     id='u2' uname='compute-2'/></nodes></configuration></cib>";

fn draft(lines: &[&str]) -> Draft {
    let mut draft = Draft::new(Cib::parse(EMPTY).unwrap());
    for line in lines {
        let statement = parse::statement(line).unwrap().expect(line);
        draft
            .take(statement, Mode::New)
            .unwrap_or_else(|e| panic!("{line}: {e}"));
    }
    draft
}

fn shown(draft: &Draft) -> String {
    draft
        .select(&[])
        .unwrap()
        .iter()
        .map(|o| format!("{}\n", o.text()))
        .collect()
}

/// The article's lines, and what they are in the end; one of its constraints is called as a node is.
#[test]
fn the_configuration_of_the_article_is_taken_as_it_is() {
    let article = [
        "property stonith-enabled=false",
        "property no-quorum-policy=ignore",
        "property start-failure-is-fatal=false",
        "rsc_defaults migration-threshold=1",
        "primitive vip ocf:heartbeat:IPaddr2 params ip=10.1.6.100 nic=br100 op monitor interval=3s",
        "primitive www lsb:apache2 op monitor interval=\"10s\"",
        "primitive nova-network lsb:nova-network op monitor interval=\"60s\"",
        "colocation vip_and_www inf: www vip",
        "order vip_and_www_order inf: vip www",
        "location compute-1 vip 200: compute-1",
        "location compute-2 vip 100: compute-2",
        "property default-action-timeout=60",
    ];
    let made = draft(&article);
    assert_eq!(schema::check(&made.cib()), vec![]);
    let expected = "node u1: compute-1
node u2: compute-2
primitive nova-network lsb:nova-network \\
\top monitor interval=60s
primitive vip IPaddr2 \\
\tparams ip=10.1.6.100 nic=br100 \\
\top monitor interval=3s
primitive www lsb:apache2 \\
\top monitor interval=10s
location compute-1 vip 200: compute-1
location compute-2 vip 100: compute-2
colocation vip_and_www inf: www vip
order vip_and_www_order Mandatory: vip www
property cib-bootstrap-options: \\
\tstonith-enabled=false \\
\tno-quorum-policy=ignore \\
\tstart-failure-is-fatal=false \\
\tdefault-action-timeout=60
rsc_defaults rsc-options: \\
\tmigration-threshold=1
";
    assert_eq!(shown(&made), expected);
    let mut again = Draft::new(made.cib());
    again.load(expected, Mode::Exact).unwrap();
    assert!(!again.is_changed());
}

/// As the classic shell shows it: every value quoted, ids of sets and nodes given.
#[test]
fn the_classic_spelling_loads_as_the_modern_one() {
    let classic = "node $id=\"u1\" compute-1 \\
\tattributes standby=\"off\"
node $id=\"u2\" compute-2
primitive fs ocf:heartbeat:Filesystem \\
\tparams device=\"/dev/drbd0\" directory=\"/srv\" fstype=\"ext3\" \\
\top start interval=\"0\" timeout=\"60s\"
primitive drbd ocf:linbit:drbd \\
\tparams drbd_resource=\"r0\" \\
\top monitor interval=\"15s\" role=\"Master\"
primitive ip ocf:heartbeat:IPaddr2 \\
\tparams ip=\"10.0.0.1\" \\
\tmeta target-role=\"Started\"
group web fs ip
ms ms_drbd drbd \\
\tmeta master-max=\"1\" notify=\"true\"
location ping web \\
\trule $id=\"ping-rule\" -inf: not_defined pingd or pingd lte 0
colocation web_on_drbd inf: web ms_drbd:Master
order web_after_drbd inf: ms_drbd:promote web:start
property $id=\"cib-bootstrap-options\" \\
\tdc-version=\"1.0.9\" \\
\texpected-quorum-votes=\"2\"
rsc_defaults $id=\"rsc-options\" \\
\tresource-stickiness=\"100\"";
    let mut made = draft(&[]);
    made.load(classic, Mode::Exact).unwrap();
    assert_eq!(schema::check(&made.cib()), vec![]);
    let text = shown(&made);
    let mut again = draft(&[]);
    again.load(&text, Mode::Exact).unwrap();
    assert_eq!(shown(&again), text);
    let mut same = Draft::new(made.cib());
    same.load(&text, Mode::Exact).unwrap();
    assert!(!same.is_changed());
    for line in [
        "node u1: compute-1 \\\n\tattributes standby=off",
        "group web fs ip",
        "order web_after_drbd Mandatory: ms_drbd:promote web:start",
    ] {
        assert!(text.contains(line), "{text}");
    }
}

#[test]
fn what_cannot_be_is_refused_and_nothing_is_changed() {
    let base = [
        "primitive a lsb:a",
        "primitive b lsb:b",
        "primitive c lsb:c",
        "group g a b",
        "clone k c",
    ];
    #[rustfmt::skip]
    let table = [
        ("primitive a lsb:x",        "Cannot create primitive with ID 'a': Found existing primitive with same ID."),
        ("group h a",                "Cannot create group:h: Child primitive:a already in group:g"),
        ("clone h c",                "Cannot create clone:h: Child primitive:c already in clone:k"),
        ("group h nosuch",           "h refers to missing object nosuch"),
        ("group h g",                "expected a primitive: g is a group"),
        ("monitor nosuch 10s",       "object nosuch does not exist"),
        ("monitor g 10s",            "expected a primitive: g is a group"),
    ];
    for (line, what) in table {
        let mut made = draft(&base);
        let before = made.cib();
        let complaint = made
            .take(parse::statement(line).unwrap().unwrap(), Mode::New)
            .unwrap_err();
        assert_eq!(complaint.what, what, "{line}");
        assert_eq!(made.cib(), before, "{line}");
    }
    let mut made = draft(&base);
    let complaints = made
        .load(
            "primitive x lsb:x\nprimitive\n\n# a comment\ngroup y \\\n nosuch",
            Mode::Update,
        )
        .unwrap_err();
    assert_eq!(complaints.len(), 2, "{complaints:?}");
    assert!(complaints[0].starts_with("line 2, column 11: "), "{complaints:?}");
    assert!(
        complaints[1].starts_with("line 6, column 2: y refers to missing"),
        "{complaints:?}"
    );
    assert_eq!(made.cib(), draft(&base).cib());
}

type Words = &'static [&'static str];

#[test]
fn what_goes_with_an_object_that_is_deleted() {
    let base = [
        "primitive a lsb:a",
        "primitive b lsb:b",
        "primitive c lsb:c",
        "primitive d lsb:d",
        "group g a b",
        "clone k c",
        "colocation two inf: d g",
        "order three inf: d a k",
        "location set { c d } inf: compute-1",
        "location only d inf: compute-1",
    ];
    #[rustfmt::skip]
    let table: &[(Words, Result<Words, &str>, Words)] = &[
        // deleted         notes                                                          gone
        (&["d"],           Ok(&["hanging colocation:two deleted", "constraint order:three updated", "constraint location:set updated", "hanging location:only deleted"]), &["d", "two", "only"]),
        (&["g"],           Ok(&["modified colocation:two from g to a"]),                  &["g"]),
        (&["k"],           Ok(&["modified order:three from k to c"]),                     &["k"]),
        (&["g", "a", "b"], Ok(&["hanging colocation:two deleted", "constraint order:three updated"]), &["g", "a", "b", "two"]),
        (&["a"],           Ok(&["constraint order:three updated"]),                       &["a"]),
        (&["c"],           Ok(&["constraint location:set updated", "k holds nothing any more, and is deleted", "constraint order:three updated"]), &["c", "k"]),
        (&["only"],        Ok(&[]),                                                       &["only"]),
        (&["nosuch"],      Err("object nosuch does not exist"),                           &[]),
        (&["d", "b"],      Err("resource b is running, can't delete it"),                 &[]),
    ];
    for (ids, expected, gone) in table {
        let mut made = draft(&base);
        let before: Vec<String> = made.names();
        let got = made.delete(ids, &|id| id == "b" && ids.len() == 2);
        let got = got
            .as_ref()
            .map(|n| n.iter().map(|n| &**n).collect::<Vec<_>>())
            .map_err(|e| &**e);
        assert_eq!(got, expected.map(<[&str]>::to_vec), "{ids:?}");
        let mut left = before;
        left.retain(|n| !gone.contains(&&**n));
        let mut names = made.names();
        names.sort();
        left.sort();
        assert_eq!(names, left, "{ids:?}");
        assert_eq!(schema::check(&made.cib()), vec![], "{ids:?}");
    }
}

#[test]
fn renaming_and_members() {
    let mut made = draft(&[
        "primitive a lsb:a op monitor interval=5",
        "primitive b lsb:b",
        "primitive c lsb:c",
        "group g a b",
        "colocation two inf: c a",
        "order three inf: a b c",
        "tag t a c",
    ]);
    made.rename("a", "x").unwrap();
    assert_eq!(
        made.rename("x", "b"),
        Err("an object with ID 'b' exists already: a primitive".to_owned())
    );
    assert!(made.rename("nosuch", "y").is_err());
    assert!(made.rename("x", "1y").is_err());
    let text = shown(&made);
    for line in [
        "primitive x lsb:a",
        "group g x b",
        "colocation two inf: c x",
        "order three Mandatory: x b c",
        "tag t x c",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(made.find("x").unwrap().to_bare().contains("id=\"x-monitor-5\""));
    made.add_member("g", "c", Some((true, "b"))).unwrap();
    assert!(shown(&made).contains("group g x c b"));
    made.remove_member("g", "x").unwrap();
    made.add_member("g", "x", None).unwrap();
    assert!(shown(&made).contains("group g c b x"));
    for result in [
        made.add_member("g", "nosuch", None),
        made.add_member("x", "c", None),
        made.add_member("g", "b", None),
        made.remove_member("g", "nosuch"),
    ] {
        assert!(result.is_err());
    }
    assert_eq!(schema::check(&made.cib()), vec![]);
}

#[test]
fn the_editor_changes_what_it_was_given_and_nothing_else() {
    let mut made = draft(&[
        "primitive a lsb:a",
        "primitive b lsb:b",
        "group g a b",
        "location l g inf: compute-1",
        "property p=1",
    ]);
    made = Draft::new(made.cib());
    let given: Vec<String> = ["g", "l", "node compute-1"].map(str::to_owned).to_vec();
    made.edited(
        &given,
        "group g b\nlocation l g 100: compute-1\nnode u1: compute-1 attributes standby=on\n",
    )
    .unwrap();
    let changed: Vec<String> = made.changed().into_iter().collect();
    assert_eq!(changed, ["g", "l", "node compute-1"]);
    assert!(shown(&made).contains("group g b\n"));
    assert_eq!(
        made.edited(&["g".to_owned()], "").unwrap(),
        ["modified location:l from g to b"]
    );
    assert!(made.edited(&["l".to_owned()], "location l b\n").is_err());
    assert_eq!(schema::check(&made.cib()), vec![]);
}

/// Settings that two change at once are merged; objects that two change at once are not overwritten.
#[test]
fn the_difference_is_sent_and_is_refused_when_somebody_else_was_faster() {
    let origin = Origin::default();
    let base = draft(&[
        "primitive a lsb:a",
        "primitive b lsb:b",
        "property p=1 q=2",
        "rsc_defaults d=1",
    ])
    .cib();
    let takes = |draft: &mut Draft, line: &str| {
        draft
            .take(parse::statement(line).unwrap().unwrap(), Mode::New)
            .map(drop)
    };
    let mut mine = Draft::new(base.clone());
    assert_eq!(mine.edits(false), Vec::<Edit>::new());
    takes(&mut mine, "group g a b").unwrap();
    takes(&mut mine, "property p=9 r=3").unwrap();
    takes(&mut mine, "monitor a 10s").unwrap();
    mine.delete(&["rsc-options"], &|_| false).unwrap();
    #[rustfmt::skip]
    let table = [
        // by somebody else            by me afterwards
        ("",                           true),
        ("property s=4 q=5",           true),
        ("primitive c lsb:c",          true),
        ("op_defaults timeout=9",      true),
        ("property p=7",               false),
        ("property r=7",               false),
        ("monitor b 7s",               false),
    ];
    for (line, mine_fits) in table {
        let mut live = base.clone();
        if !line.is_empty() {
            let mut other = Draft::new(base.clone());
            takes(&mut other, line).unwrap();
            live.apply(&other.edits(false), &origin).unwrap();
        }
        let before = live.clone();
        let made = live.apply(&mine.edits(false), &origin);
        assert_eq!(made.is_ok(), mine_fits, "{line}: {made:?}");
        match mine_fits {
            true => {
                assert!(
                    live.by_id().contains_key("g") && live.property("p") == Some("9"),
                    "{line}"
                );
                assert_eq!(
                    live.section("rsc_defaults").map(|s| s.children.len()),
                    Some(0),
                    "{line}"
                );
            }
            false => assert_eq!(live, before, "{line}"),
        }
        if line == "property s=4 q=5" {
            assert_eq!((live.property("s"), live.property("q")), (Some("4"), Some("5")));
        }
        let mut live = before;
        assert!(live.apply(&mine.edits(true), &origin).is_ok(), "forced after {line}");
    }
}

/// A cluster that has just begun: whoever says something first makes the set, and nobody minds the other.
#[test]
fn the_first_settings_of_two_are_merged_too() {
    let origin = Origin::default();
    let base = draft(&["primitive a lsb:a"]).cib();
    let one = |line: &str| {
        let mut draft = Draft::new(base.clone());
        draft.take(parse::statement(line).unwrap().unwrap(), Mode::New).unwrap();
        draft.edits(false)
    };
    let mine = one("property p=1");
    #[rustfmt::skip]
    let table = [("property q=2", true), ("rsc_defaults d=1", true), ("property p=1", false), ("property p=7", false)];
    for (line, mine_fits) in table {
        let mut live = base.clone();
        live.apply(&one(line), &origin).unwrap();
        let made = live.apply(&mine, &origin);
        assert_eq!(made.is_ok(), mine_fits, "{line}: {made:?}");
        if line == "property q=2" {
            assert_eq!((live.property("p"), live.property("q")), (Some("1"), Some("2")));
        }
    }
}

#[test]
fn what_the_language_cannot_say_is_shown_as_xml_and_loads_again() {
    #[rustfmt::skip]
    let table = [
        ("resources",   "<primitive id='p' class='lsb' type='x'><instance_attributes id='p-i'><rule id='r' score='1'><expression id='e' attribute='a' operation='defined'/></rule><nvpair id='n' name='a' value='b'/></instance_attributes></primitive>"),
        ("resources",   "<primitive id='p' class='lsb' type='x'><instance_attributes id='p-i'><nvpair id='n' name='a'/></instance_attributes></primitive>"),
        ("resources",   "<primitive id='p' class='lsb' type='x'><instance_attributes id='p-i'><nvpair id='n' name='a' value='1&#10;2'/></instance_attributes></primitive>"),
        ("constraints", "<rsc_colocation id='c' rsc='p' with-rsc='p'/>"),
        ("constraints", "<rsc_location id='c' rsc='p'><rule id='r' score='1' boolean-op='and'><rule id='s'><expression id='e' attribute='a' operation='defined'/></rule></rule></rsc_location>"),
        ("constraints", "<rsc_order id='c'><resource_set id='s'><resource_ref id='p'/><resource_ref id='q'/></resource_set></rsc_order>"),
        ("crm_config",  "<cluster_property_set id='c' score='5'><nvpair id='n' name='a' value='b'/></cluster_property_set>"),
    ];
    for (section, xml) in table {
        let element = Element::parse(xml).unwrap();
        let text = print::object(section, &element);
        assert_eq!(text, format!("xml {element}"));
        assert_eq!(element_of(&text), element);
    }
}

fn word() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9_-]{0,5}"
}

fn any_pairs() -> impl Strategy<Value = String> {
    proptest::collection::btree_map(word(), "[ -~]{0,10}", 1..4).prop_map(|m| {
        m.iter()
            .map(|(n, v)| format!(" {n}={}", super::words::quoted(v)))
            .collect()
    })
}

fn any_primitive() -> impl Strategy<Value = String> {
    let agent = prop_oneof![
        Just("IPaddr2"),
        Just("lsb:x"),
        Just("ocf:linbit:drbd"),
        Just("stonith:external/ssh")
    ];
    let section = prop_oneof![
        any_pairs().prop_map(|p| format!(" params{p}")),
        any_pairs().prop_map(|p| format!(" meta{p}")),
        any_pairs().prop_map(|p| format!(" utilization{p}")),
        (word(), any_pairs()).prop_map(|(i, p)| format!(" params $id={i}-s{p}")),
        (prop_oneof![Just("monitor"), Just("start")], 1..99u32, any_pairs())
            .prop_map(|(op, t, p)| format!(" op {op} interval={t}s{}", p.replace(" interval=", " x="))),
        Just(" op stop timeout=5 op_meta a=b".to_owned()),
    ];
    (word(), agent, proptest::collection::vec(section, 0..5))
        .prop_map(|(id, agent, s)| format!("primitive {id} {agent}{}", s.concat()))
}

fn any_constraint() -> impl Strategy<Value = String> {
    let score = prop_oneof![
        Just("inf".to_owned()),
        Just("-inf".to_owned()),
        (-9999..9999i32).prop_map(|n| n.to_string())
    ];
    let role = prop_oneof![3 => Just(""), 1 => Just(":Master"), 1 => Just(":Started")];
    let rsc = (word(), role).prop_map(|(w, r)| format!("{w}{r}"));
    let set = prop_oneof![
        4 => rsc,
        1 => (word(), word()).prop_map(|(a, b)| format!("( {a} {b} )")),
        1 => (word(), word()).prop_map(|(a, b)| format!("[ {a} {b} ]")),
    ];
    let sets = proptest::collection::vec(set, 2..5).prop_map(|s| s.join(" "));
    let kind = prop_oneof![
        Just("Mandatory:"),
        Just("optional:"),
        Just("0:"),
        Just("inf:"),
        Just("Serialize:"),
        Just("")
    ];
    let expression = prop_oneof![
        (word(), "[ -~]{1,6}").prop_map(|(a, v)| format!("{a} eq {}", super::words::quoted(&v))),
        word().prop_map(|a| format!("defined {a}")),
        Just("#uname number:lte 3".to_owned()),
        Just("date in start=2010-01-01 hours=3".to_owned()),
    ];
    let rule = (
        prop_oneof![Just("or"), Just("and")],
        proptest::collection::vec(expression, 1..4),
    )
        .prop_map(|(op, e)| e.join(&format!(" {op} ")));
    prop_oneof![
        (word(), word(), score.clone(), word()).prop_map(|(i, r, s, n)| format!("location {i} {r} {s}: {n}")),
        (word(), word(), score.clone(), proptest::collection::vec(rule, 1..3)).prop_map(|(i, r, s, e)| format!(
            "location {i} {r} {}",
            e.iter().map(|e| format!("rule {s}: {e} ")).collect::<String>()
        )),
        (word(), score, sets.clone()).prop_map(|(i, s, r)| format!("colocation {i} {s}: {r}")),
        (word(), kind, sets).prop_map(|(i, k, s)| format!(
            "order {i} {k} {}",
            s.replace(":Master", ":promote").replace(":Started", ":start")
        )),
    ]
}

proptest! {
    /// What is shown loads again: the same text, the same meaning.
    #[test]
    fn show_loads_unchanged(line in prop_oneof![any_primitive(), any_constraint()]) {
        // Names may come twice: then there is nothing to show.
        let Ok(Some(Statement::Object(object))) = parse::statement(&line) else { return Ok(()) };
        let section = parse::section_of(&object.element.name).unwrap();
        let text = print::object(section, &object.element);
        let commands = super::lines::commands(&text);
        prop_assert_eq!(commands.len(), 1);
        let Ok(Some(Statement::Object(again))) = parse::statement(&commands[0].text) else { panic!("{line}\n{text}") };
        prop_assert_eq!(print::object(section, &again.element), text);
        prop_assert_eq!(print::meaning(&again.element), print::meaning(&object.element));
    }

    /// Nearly everything is said in the language itself, not as XML.
    #[test]
    fn what_was_typed_is_not_shown_as_xml(line in any_primitive()) {
        let Ok(Some(Statement::Object(object))) = parse::statement(&line) else { return Ok(()) };
        prop_assert!(!print::object("resources", &object.element).starts_with("xml"), "{line}");
    }

    #[test]
    fn any_text_is_taken_or_refused_without_panic(
        lines in proptest::collection::vec("(primitive|group|location|order|colocation|property|node|xml|monitor)?[ -~]{0,30}", 0..6),
        mode in prop_oneof![Just(Mode::New), Just(Mode::Update), Just(Mode::Exact)],
    ) {
        let mut made = draft(&["primitive a lsb:a", "primitive b lsb:b", "group g a b"]);
        let before = made.cib();
        if made.load(&lines.join("\n"), mode).is_err() {
            prop_assert_eq!(made.cib(), before);
        }
    }
}
