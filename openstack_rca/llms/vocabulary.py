# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.
"""Words of claims: those that say nothing by themselves, and synonyms.

A claim may use any word that its evidence has, the neutral ones, and those of
a concept that its evidence speaks of in other words. Everything else was made
up.
"""

import re

#: Words that claim nothing: grammar, and what all reports are about.
_NEUTRAL = """
a about above according acacross act action activity actual actually
add addition additional additionally affect after afterwards again against
ago all almost along alongside already also although always among amount an
and another any anything apart apparent apparently appear approximately are
area around as aside associate at attempt attribute away back based basis be
became because become been before began begin beginning behind being belong
below beneath beside besides between beyond both bring brought but by call
came can carry case cause certain chain clear clearly client cloud code come
common component concern condition conclude condition consequence consequent
consequently consider consist consistent contain context continue correspond
could course current currently data describe detail detect did different
direct directly do doe does done down-stream downstream during each earlier
early effect either else encounter end entire entry environment episode even
event eventually every everything evidence exact exactly example exception
exhibit experience explain fact few final finally first five follow following
for form former from further furthermore gave general get give given go goes
going gone got group had handle happen has have having he hence her here him
his host hour how however i identical identify if immediate immediately impact
in incident include incoming indeed indicate indicator individual information
inside instead interact interaction into involve is issue it item its itself
job just keep kept kind know known lack last late later latest latter lead
least leave led left less level like likely line link list local log logged
logs long longer look made main make manner many match may mean meanwhile
member mention mere merely might minute mode moment more moreover most mostly
much multiple name namely near nearly need new next node note notice
notification now number observe observed occasion occur occurrence of off
often on once one only onset onto operate operation or order origin original
originate other others otherwise our out outcome output over own pair part
particular particularly party path pattern per perform perhaps period piece
place point portion possible possibly potential potentially preceding present
previous previously prior probable probably problem process produce program
prove proof purpose put quickly raise rather reach read real really reason
recent recently record reference refer regard relate related relevant remain
repeat repeatedly report request respective respectively result return reveal
right root row run same saw say second seconds section see seem seen
self separate sequence series serve serves service session set several she
should show shown side sign similar similarly simple simply simultaneously
since single site situation small so some something source span specific
specifically stage stand start state statement status step still story
subsequent subsequently such suggest symptom system take taken task tell than
that the their them themselves then there therefore these they thing this
those though through throughout thus time timestamp to together told too took
total toward towards trace track trigger true turn type ultimately under
underlying unit until up upon us use used user using usual various very via
view visible was watch way we well went were what when where whereas whether
which while who whole whom whose why will with within word would yet
""" + """
api http https url utc id uuid ids
cluster controller machine deployment minute hour millisecond milliseconds
said sent held apis arrive ask await complain comprise confirm contact
correlate cover
depend emit enforce expect extend hit hint hold implement invoke land launch
mark maximum meant minimum move obtain offer pass persist point prepare query
queried rely require satisfy search submit suffer support surface target try
tried tries undergo vain want ran whenever wherever attempted belong briefly
concrete considerable constant continuous count decide default define despite
determine differ discover double due effort elsewhere entirely
exceptionally explicit extent fall fell fix forth frequent fully
generate heavy hence hint hit inform inner instant intend internal internally
introduce large lines listed lower main maintain manage
mean measure mechanism method middle minor move name narrow
nature necessary newly occasionally odd opposite ordinary outer
overall partly past permanent persistent phase plain primary
proceed progress proper quick range rapid rare rate reaction recognise
recognize region relation remote rest resume reveal scope
separate short-lived similarity slight sort speak
spread stay strong sub suddenly sum summary temporary tend thereby thereafter
timing top transient trigger typical unclear uncommon understand upper usage
variety verify version wide widely worth
am pm monday tuesday wednesday thursday friday saturday sunday
one-time side-effect so-called first-hand
"""

#: Concepts: what claims call them, and what evidence calls them. A prefix of
#: a word is enough in evidence.
_CONCEPTS = (
    # Something went wrong at all.
    ('fail failure failed failing error errors errored wrong unsuccessful '
     'unsuccessfully trouble abnormal abnormally unexpected unexpectedly '
     'unable cannot not no never neither nor none nobody nothing without '
     'nowhere fault faulty affected break broken broke impossible hinder '
     'prevent prevented block blocked stop stopped abort aborted give-up '
     'gave-up interrupt interrupted disrupt disrupted unhandled stuck severe '
     'serious critical warn warning bad incorrect lose lost miss',
     'fail error exception unable cannot can\'t couldn\'t could_not not no '
     'never traceback critical warn abort invalid refus denied timeout '
     'timed lost unreachable down dead missing forbidden unauthoriz '
     'insufficient exceed full exhaust corrupt broken unknown reject '
     'conflict closing closed shutdown kill crash 4\\d\\d 5\\d\\d slow '
     'stop end none without'),
    ('time-out timeout timeouts timed waited waiting wait overdue '
     'unresponsive hang hung unanswered respond response reply answer '
     'answered replied responding',
     'timeout timed wait respon repl answer hang hung in_time 504 '
     'heard seconds msecs status http 40\\d 50\\d'),
    ('slow slowly slowness delay delayed latency sluggish lag long-running',
     'slow delay latenc msec seconds time timed lag elapsed'),
    ('refuse refused refusal reject rejected rejection deny denied decline '
     'declined turned-down accept',
     'refus reject den accept forbid 401 403 unauthoriz not_authoriz '
     'errno_111 exceeded quota'),
    ('unreachable reach reachable inaccessible unavailable unavailability '
     'offline down dead gone outage lost disconnect disconnected '
     'disconnection drop dropped absent '
     'disappear disappeared vanished heartbeat closed close closing lose '
     'loss severed terminate terminated shut shutdown',
     'unreachable unavailab down dead gone lost refus clos drop silent '
     'stopp shutdown heard heartbeat disconnect terminat '
     'reset not_run not_alive errno_111 503'),
    ('stopped stop silent silence quiet',
     'stop silent heard heartbeat shutdown terminat dead down timed timeout '
     'not_run not_answer'),
    ('crash crashed die died kill killed exit exited terminate terminated '
     'stopped stop restart restarted shutdown',
     'crash die kill exit terminat stopp restart shutdown oom segfault '
     'signal shut starting'),
    ('full space room', 'full space errno_28'),
    ('exceeded exceed exceeding quota quotas limit limited over-quota',
     'quota exceed limit max_retries'),
    ('exhausted exhaust exhaustion insufficient shortage short enough '
     'sufficient capacity spare scarce resource resources free',
     'exhaust insufficient enough capacity resource candidate novalid '
     'no_valid allocation vcpu space full quota'),
    ('corrupt corrupted corruption damaged damage mismatch mismatched '
     'checksum hash integrity malformed inconsistent',
     'corrupt damag mismatch checksum hash integrity malform inconsist'),
    ('differ differed difference mismatch', 'expected mismatch differ'),
    ('invalid', 'invalid malform illegal bad'),
    ('authentication authenticate authenticated unauthenticated login logins '
     'credential credentials unauthorized authorization authorized authorize '
     'permission permissions permitted permit privilege role forbidden '
     'policy allowed allow access identity',
     'auth credential login password 401 403 forbid unauthor permi privileg '
     'role polic allow access token identity keystone quota'),
    ('missing absent nonexistent non-existent unknown found find exist '
     'existed existing exists nonexisting unregistered',
     'not_found notfound 404 no_such missing absent exist unknown none found '
     'no_valid no_exchange no'),
    ('connect connected connection connections connectivity reconnect '
     'reconnected socket link',
     'connect socket tcp amqp refus unreachable errno_111 bind'),
    ('retry retried retries retrying reattempt',
     'retr again attempt tries'),
    ('succeed succeeded success successful successfully complete completed '
     'completion finish finished done',
     'succe complete finish done status:_20\\d 1_20\\d 1\\.1_20\\d'),
    ('flavor flavors', 'flavor vcpu memory_mb disk_gb'),
    ('create created creation build built building boot booting booted '
     'launch launched spawn spawned spawning provision provisioned '
     'provisioning',
     'creat build boot launch spawn provision post schedul run_instance'),
    ('delete deleted deletion remove removed removal destroy destroyed clean '
     'cleaned cleanup',
     'delet remov destroy clean'),
    ('schedule scheduled scheduling placed placement select selected '
     'selection choose chosen candidate candidates filter filtered '
     'filters eliminate eliminated exclude excluded discard discarded rule '
     'ruled',
     'schedul plac select candidate filter weigh novalid no_valid'),
    ('attach attached attachment detach detached', 'attach detach'),
    ('bind binding bound unbound', 'bind bound vif'),
    ('write wrote written writing writes', 'writ save'),
    ('download downloaded fetch fetched transfer transferred copy copied',
     'download fetch transfer copy get'),
    ('publish published publishing send sent sending deliver delivered '
     'delivery consume consumed consumer consumers receive received',
     'publish send sent deliver consum receiv messag topic no_exchange '
     'generated reply'),
    ('spike burst increase increased rise surge', 'burst spike increas'),
    ('server servers instance instances vm vms virtual-machine guest guests '
     'virtual',
     'instance server vm guest'),
    ('database databases db sql mysql mariadb',
     'database mysql mariadb sql db 3306'),
    ('rabbitmq rabbit bus amqp broker brokers message-bus message-queue '
     'messaging exchange exchanges',
     'rabbit amqp broker 5672 message_bus exchange'),
    ('message messages topic queue queues', 'messag topic queue'),
    ('rpc', 'rpc messag amqp'),
    ('nova', 'nova compute'),
    ('neutron', 'neutron'),
    ('cinder', 'cinder'),
    ('glance', 'glance 9292'),
    ('keystone', 'keystone identity 5000 35357'),
    ('placement', 'placement 8778 allocation'),
    ('heat', 'heat orchestration'),
    ('memcached memcache', 'memcach 11211'),
    ('libvirt qemu kvm hypervisor', 'libvirt qemu kvm hypervisor'),
    ('ovs openvswitch vswitch switch', 'ovs openvswitch vswitch open_vswitch'),
    ('ovn', 'ovn'),
    ('volume volumes', 'volume cinder'),
    ('image images', 'image glance'),
    ('port ports', 'port neutron vif 127'),
    ('network networks networking', 'network neutron port net'),
    ('agent agents', 'agent'),
    ('disk disks filesystem file-system storage device partition',
     'disk space filesystem file_system storage device'),
    ('memory ram', 'memory ram oom'),
    ('cpu cpus vcpu vcpus core cores', 'cpu core'),
    ('compute computes', 'compute nova'),
    ('backend backends back-end back-ends', 'backend driver'),
    ('conductor', 'conductor'),
    ('scheduler', 'schedul'),
    ('caller callers tenant tenants customer account',
     'caller tenant project user'),
    ('project projects', 'project tenant'),
    ('timeline', 'messag'),
    ('traceback stacktrace stack-trace raised', 'traceback exception error'),
    ('file files directory', 'file dir path'),
    ('hours days weeks', 'hour day week'),
)

#: Words that say that something is well. What says the opposite holds their
#: letters, and synonyms are no help.
WELL = frozenset("""
accept accepted accepts work works worked working succeed succeeded successful
available reachable exist exists existed enough sufficient connected alive
authorized valid healthy ok running
""".split())
#: Words whose meaning turns when somebody says "not".
POLAR = WELL | frozenset("""
answer answers answered responds responded respond reply replied found find
finds allow allowed heard complete completed
""".split())

NEGATION = re.compile(
    r"\b(?:no|not|never|none|nobody|nothing|neither|nor|cannot|without|"
    r"unable|fail\w*|refus\w*|reject\w*|den(?:y|ied)|stopp?\w*|lack\w*|"
    r"prevent\w*|\w+n't|no longer|impossible|missing|insufficient|"
    r"un(?:available|reachable)|lost|until|timed|error\w*|invalid|"
    r"vain|wait\w*)\b",
    re.IGNORECASE)

#: Words for numbers. "One" is a pronoun, too.
NUMBERS = {word: value for value, word in enumerate(
    'zero one two three four five six seven eight nine ten eleven twelve '
    'thirteen fourteen fifteen sixteen seventeen eighteen nineteen'.split())
    if word != 'one'} | {'dozen': 12, 'hundred': 100, 'thousand': 1000,
                         'million': 10 ** 6, 'twice': 2}
for _tens, _name in enumerate('twenty thirty forty fifty sixty seventy eighty '
                              'ninety'.split(), 2):
    NUMBERS[_name] = 10 * _tens
    for _ones, _more in enumerate('one two three four five six seven eight '
                                  'nine'.split(), 1):
        NUMBERS[f'{_name}-{_more}'] = 10 * _tens + _ones

MONTHS = {name: index for index, names in enumerate((
    ('january', 'jan'), ('february', 'feb'), ('march', 'mar'),
    ('april', 'apr'), ('may',), ('june', 'jun'), ('july', 'jul'),
    ('august', 'aug'), ('september', 'sep'), ('october', 'oct'),
    ('november', 'nov'), ('december', 'dec')), 1) for name in names}


def stem(word: str) -> str:
    """What words of one family begin with, roughly."""
    word = word.lower().removesuffix("'s").strip("'")
    for suffix, end in (('ies', 'y'), ('ied', 'y'), ('sses', 'ss'),
                        ('ingly', ''), ('edly', ''), ('ing', ''),
                        ('ed', ''), ('es', ''), ('ly', ''), ('s', '')):
        if word.endswith(suffix) and len(word) - len(suffix) > 2 and not (
                suffix == 's' and word.endswith(('ss', 'us', 'is'))):
            word = word[:len(word) - len(suffix)] + end
            break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in 'aeiousl':
        word = word[:-1]
    return word[:-1] if len(word) > 3 and word.endswith('e') else word


def _in_evidence(words: str) -> re.Pattern[str]:
    """What shows that evidence speaks of a concept."""
    parts = (w.replace('_', r'[\s_-]?') for w in words.split())
    return re.compile(rf'(?<![a-z])(?:{"|".join(parts)})')


NEUTRAL = frozenset(stem(w) for w in _NEUTRAL.split())
#: By the stem of a word: what has to stand in evidence, one of them.
CONCEPTS: dict[str, tuple[re.Pattern[str], ...]] = {}
for _claimed, _shown in _CONCEPTS:
    _pattern = _in_evidence(_shown)
    for _word in _claimed.split():
        CONCEPTS[stem(_word)] = (*CONCEPTS.get(stem(_word), ()), _pattern)
