/** Right messages that the fuzzer begins with: one for each operation, and some that fail. Pure. */

const NC = "urn:ietf:params:xml:ns:netconf:base:1.0";
const IF = "urn:ietf:params:xml:ns:yang:ietf-interfaces";
const TYPE =
  '<type xmlns:ianaift="urn:ietf:params:xml:ns:yang:iana-if-type">ianaift:ethernetCsmacd</type>';

function rpc(operation: string): string {
  return `<rpc xmlns="${NC}" message-id="1">${operation}</rpc>`;
}

function edit(config: string, more = ""): string {
  return rpc(
    `<edit-config><target><candidate/></target>${more}<config xmlns:nc="${NC}" xmlns:yang="urn:ietf:params:xml:ns:yang:1">${config}</config></edit-config>`,
  );
}

const one = (inner: string, attributes = ""): string =>
  `<interfaces xmlns="${IF}"><interface${attributes}><name>x</name>${inner}</interface></interfaces>`;

export const NETCONF_CORPUS: readonly string[] = [
  edit(one(TYPE)),
  edit(one(`${TYPE}<description>a</description><enabled>false</enabled>`)),
  edit(one("", ' nc:operation="delete"')),
  edit(one(TYPE, ' nc:operation="replace"'), "<default-operation>none</default-operation>"),
  edit(
    one(TYPE),
    "<test-option>test-then-set</test-option><error-option>rollback-on-error</error-option>",
  ),
  edit(
    '<acls xmlns="urn:ietf:params:xml:ns:yang:ietf-access-control-list"><acl><name>a</name><type>ipv4-acl-type</type><aces><ace yang:insert="first"><name>e</name><matches><ipv4><source-ipv4-network>10.0.0.1/32</source-ipv4-network></ipv4></matches><actions><forwarding>accept</forwarding></actions></ace></aces></acl></acls>',
  ),
  edit(
    '<nacm xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-acm"><groups><group><name>g</name><user-name>u</user-name></group></groups><rule-list><name>l</name><group>g</group><rule><name>r</name><path xmlns:if="urn:ietf:params:xml:ns:yang:ietf-interfaces">/if:interfaces</path><action>deny</action></rule></rule-list></nacm>',
  ),
  edit(
    '<system xmlns="urn:ietf:params:xml:ns:yang:ietf-system"><hostname>h</hostname><authentication><user><name>u</name><password>$0$p</password></user></authentication></system>',
  ),
  rpc("<commit/>"),
  rpc("<commit><confirmed/><confirm-timeout>1</confirm-timeout><persist>p</persist></commit>"),
  rpc("<commit><persist-id>p</persist-id></commit>"),
  rpc('<commit><comment xmlns="urn:flowlift:history">why</comment></commit>'),
  rpc("<cancel-commit><persist-id>p</persist-id></cancel-commit>"),
  rpc("<discard-changes/>"),
  rpc("<validate><source><candidate/></source></validate>"),
  rpc("<lock><target><candidate/></target></lock>"),
  rpc("<unlock><target><candidate/></target></unlock>"),
  rpc("<get-config><source><running/></source></get-config>"),
  rpc(
    `<get-config><source><candidate/></source><filter type="subtree"><interfaces xmlns="${IF}"><interface><name>x</name></interface></interfaces></filter></get-config>`,
  ),
  rpc(
    `<get-config><source><running/></source><filter type="xpath" xmlns:i="${IF}" select="/i:interfaces/i:interface[i:name='x']"/><with-defaults xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-with-defaults">report-all-tagged</with-defaults></get-config>`,
  ),
  rpc(
    '<get><filter><netconf-state xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"/></filter></get>',
  ),
  rpc("<copy-config><target><startup/></target><source><running/></source></copy-config>"),
  rpc(
    `<copy-config><target><candidate/></target><source><config>${one(TYPE)}</config></source></copy-config>`,
  ),
  rpc("<delete-config><target><startup/></target></delete-config>"),
  rpc("<kill-session><session-id>99</session-id></kill-session>"),
  rpc(
    '<get-schema xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"><identifier>ietf-interfaces</identifier></get-schema>',
  ),
  rpc(
    '<get-data xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-nmda" xmlns:ds="urn:ietf:params:xml:ns:yang:ietf-datastores"><datastore>ds:operational</datastore><max-depth>3</max-depth><with-origin/></get-data>',
  ),
  rpc(
    `<edit-data xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-nmda" xmlns:ds="urn:ietf:params:xml:ns:yang:ietf-datastores"><datastore>ds:candidate</datastore><config>${one(TYPE)}</config></edit-data>`,
  ),
  rpc('<create-subscription xmlns="urn:ietf:params:xml:ns:netconf:notification:1.0"/>'),
  rpc('<rollback xmlns="urn:flowlift:history"><steps>1</steps></rollback>'),
  rpc('<compare xmlns="urn:flowlift:history"/>'),
  rpc('<preview-commit xmlns="urn:flowlift:history"/>'),
];
