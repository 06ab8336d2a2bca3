use strict;
use warnings;
use Test::More;
use lib 't/lib';
use Near;
use JSON::PP;
use Storable qw(dclone);
use AI::MXNet qw(mx);

needs_operators(qw(argmax topk pick));

sub value
{
    my ($metric, @batches) = @_;
    $metric->update(map { ref $_ eq 'ARRAY' ? $_ : [$_] } @$_) for @batches;
    return ($metric->get)[1];
}
sub near { my ($got, $want, $name) = @_; return ok(abs($got - $want) < 1e-6, $name) || diag("got $got, want $want") }

my $p = nd->array([[0.2, 0.5, 0.3], [0.7, 0.1, 0.2], [0.25, 0.35, 0.4], [0.05, 0.9, 0.05]]);
my $y = nd->array([1, 0, 2, 0]);

# -- values, by their definitions

near(value(mx->metric->create('acc'), [$y, $p]), 0.75, 'accuracy');
near(
    value(
        mx->metric->Accuracy(axis => 2),
        [nd->array([[1, 0], [1, 0]]), nd->array([[[0, 1], [1, 0]], [[0, 1], [0, 1]]])]
    ),
    0.75,
    'accuracy along another axis'
);
near(value(mx->metric->TopKAccuracy(2), [$y, $p - nd->array([0.01, 0, 0])]), 0.75, 'top-2 accuracy');
near(value(mx->metric->TopKAccuracy(9), [$y, $p]), 1, 'more than there are');
my $log = -(log(0.5) + log(0.7) + log(0.4) + log(0.05));
near(value(mx->metric->create('ce'), [$y, $p]), $log / 4, 'cross-entropy');
near(value(mx->metric->create('perplexity'), [$y, $p]), exp($log / 4), 'perplexity');
near(value(mx->metric->Perplexity(0), [$y, $p]), exp(-(log(0.5) + log(0.4)) / 2), 'perplexity, a label ignored');
near(
    value(mx->metric->Perplexity(undef, 1), [nd->array([[1, 0]]), nd->array([[[0.2, 0.6], [0.8, 0.4]]])]),
    exp(-(log(0.8) + log(0.6)) / 2),
    'perplexity along another axis'
);
near(value(mx->metric->create('mae'), [nd->array([1, 2]), nd->array([[1.5], [1]])], [nd->array([0]), nd->array([4])]),
    (0.75 + 4) / 2, 'mae');
near(value(mx->metric->create('rmse'), [nd->array([1, 2]), nd->array([4, 6])]), sqrt(12.5), 'rmse');
near(value(mx->metric->create('pearsonr'), [nd->array([1, 2, 3]), nd->array([2, 4, 6])]), 1, 'correlation');
near(value(mx->metric->create('loss'), [[], nd->array([[1, 2], [3, 6]])]), 3, 'loss');
my ($is, $said) = (nd->array([1, 1, 0, 0, 1]), nd->array([[0, 1], [1, 0], [0, 1], [1, 0], [0, 1]]));
near(value(mx->metric->F1(average => 'micro'), [$is, $said], [$is, $said]), 2 * 4 / (2 * 4 + 2 + 2), 'f1');
near(value(mx->metric->create('mcc'), [$is, $said]), (2 * 1 - 1) / sqrt(3 * 3 * 2 * 2), 'mcc');
near(value(mx->metric->MCC(average => 'micro'), [$is, $said], [$is, $said]), 1 / 6, 'mcc over all');
my $confidence = mx->metric->create('confidence', 2, [0.4, 0.95]);
$confidence->update([$is], [$said]);
is_deeply(
    [$confidence->get]->[0],
    ['P(v=0|Conf>0.4)=(1/2)', 'P(v=0|Conf>0.95)=(1/2)', 'P(v=1|Conf>0.4)=(2/3)', 'P(v=1|Conf>0.95)=(2/3)'],
    'confidence, many rows at once'
);
is_deeply([map { ref } map { ($_->get)[1] } mx->metric->create('acc'), mx->metric->create('mse')],
    ['', ''], 'plain numbers');

# -- what there is before an update

for my $name (qw(acc ce f1 mcc mae mse rmse pearsonr perplexity loss nll_loss)) {
    my $metric = mx->metric->create($name);
    is(($metric->get)[1], 'nan', "$name before an update");
    $metric->update([$is], [$name =~ /^(?:acc|ce|f1|mcc|perp|nll)/ ? $said : $is]);
    isnt(($metric->get)[1], 'nan', "$name after it");
    $metric->reset;
    is(($metric->get)[1], 'nan', "$name after a reset");
}

# -- the same metric again

my $sub = sub { 2 };
for my $metric (
    mx->metric->TopKAccuracy(3), mx->metric->create([qw(acc mse)]),
    mx->metric->create($sub, name => 'two'), mx->metric->F1('score', 'micro')
    )
{
    my $copy = dclone($metric);
    is(ref $copy, ref $metric, ref($metric) . ' survives Storable');
    is_deeply([$copy->get], [$metric->get], '... with its names and values');
    next if $metric->isa('AI::MXNet::CustomMetric');
    my $again = mx->metric->create(JSON::PP->new->convert_blessed->encode($metric));
    is_deeply([$again->get], [$metric->get], '... and JSON');
}
near(value(dclone(mx->metric->create($sub)), [$is, $is]), 2, 'a copy of a custom metric calls its sub');
my $three = mx->metric->TopKAccuracy(3);
is_deeply(mx->metric->create(encode_json($three->get_config))->get_config, $three->get_config,
    'the same configuration');

# -- what is refused

dies_with(sub { mx->metric->create('nosuch') }, qr/Metric must be either subref or one of \[acc, /, 'an unknown name');
dies_with(
    sub { mx->metric->Accuracy->update([$y], [nd->zeros([3, 2])]) },
    qr/Shape of labels 4 does not match/,
    'other rows'
);
dies_with(
    sub { mx->metric->create('ce')->update([$y], [nd->zeros([3, 2])]) },
    qr/Size of label 4 and first dimension of pred 3/,
    'other rows of probabilities'
);
dies_with(sub { mx->metric->Accuracy(1, 'a', 'b') }, qr/3 positional arguments/, 'too many arguments');
ok(!eval { mx->metric->F1(average => 'mean'); 1 }, 'an average that there is not');
dies_with(sub { mx->metric->create(['acc'])->get_metric(1) }, qr/index 1 is out of range/,
    'a metric that there is not');
is(mx->metric->create(['acc', 'f1'])->get_metric(1)->name, 'f1', 'one that there is');

is(
    ref mx->metric->create(JSON::PP->new->encode(mx->metric->create($_)->get_config)),
    ref mx->metric->create($_),
    "$_ from its configuration"
) for qw(acc ce f1 mae mse rmse nll_loss loss pearsonr perplexity mcc);

done_testing;
