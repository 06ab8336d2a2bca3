use strict;
use warnings;
use Test::More;
use lib 't/lib';
use Near;
use AI::MXNet qw(mx);
use AI::MXNet::Gluon qw(gluon);
use AI::MXNet::AutoGrad qw(autograd);

needs_operators(qw(FullyConnected Convolution Pooling BatchNorm Dropout));

# A hybridized network computes what it computes call by call, whatever happens between calls; what the compiler did is told.

sub lenet
{
    my $net = nn->HybridSequential;
    $net->name_scope(
        sub {
            $net->add(nn->Conv2D(6, 3, use_bias => 0), nn->BatchNorm, nn->Activation('relu'), nn->MaxPool2D(2, 2));
            $net->add(nn->Conv2D(8, 3), nn->BatchNorm, nn->Activation('tanh'), nn->MaxPool2D(2, 2), nn->Flatten);
            $net->add(nn->Dense(12, activation => 'relu'), nn->Dropout(0.3), nn->Dense(5));
        }
    );
    return $net;
}

sub report
{
    my ($net) = @_;
    return $net->{_cached_op}->report;
}

# Trains from the same start, on the same random numbers.
sub train
{
    my ($make, $data, $label, $hybridize) = @_;
    mx->random->seed(11);
    my $net = $make->();
    $net->initialize(mx->init->Xavier);
    $net->hybridize($hybridize ? (1, %$hybridize) : 0);
    # Parameters that wait for a shape draw their values now; Dropout draws the same in both.
    $net->($data);
    mx->random->seed(12);
    my $loss = gluon->loss->SoftmaxCELoss;
    $loss->hybridize if $hybridize;
    my $trainer = gluon->Trainer($net->collect_params, 'sgd', { learning_rate => 0.1, momentum => 0.9 });
    my @losses;
    for (1 .. 4) {
        my $l;
        autograd->record(sub { $l = $loss->($net->($data), $label) });
        $l->backward;
        $trainer->step($data->shape->[0]);
        push @losses, $l->mean->asscalar;
    }
    return ($net, \@losses);
}

my $data = mx->nd->random->uniform(-1, 1, shape => [6, 1, 14, 14]);
my $label = mx->nd->array([0, 1, 2, 3, 4, 0]);

for my $flags ({}, { static_alloc => 1, static_shape => 1 }, { inline_limit => 0 }) {
    my $what = join(' ', %$flags) || 'without flags';
    my ($plain, $want) = train(\&lenet, $data, $label);
    my ($net, $got) = train(\&lenet, $data, $label, $flags);
    is_close($got, $want, "training, $what", 1e-5);
    cmp_ok(report($net)->{planned}, '<', report($net)->{unplanned}, 'training is compiled');
    my @a = map { $_->data } $plain->collect_params->values;
    my @b = map { $_->data } $net->collect_params->values;
    is_close($b[$_], $a[$_], "parameter $_ and its state, $what", 1e-5) for 0 .. $#a;
    my $y = $net->($data);
    is_close($y, $plain->($data), "inference, $what", 1e-4);
    my $report = report($net);
    is($report->{absorbed}, 2, 'normalisation went into the convolutions');
    cmp_ok($report->{planned}, '<', $report->{unplanned}, 'values share memory');
    # Parameters that change are seen at once.
    $_->set_data($_->data * 1.5) for $net->collect_params->values, $plain->collect_params->values;
    is_close($net->($data), $plain->($data), 'after all parameters changed', 1e-4);
    # A new shape is compiled anew, and the old result stays.
    my $kept = [$y->aspdl->list];
    my $other = mx->nd->random->uniform(-1, 1, shape => [2, 1, 14, 14]);
    is_close($net->($other), $plain->($other), 'another batch size', 1e-4);
    is_close($y, $kept, 'an earlier result');
}

# A parameter that a piddle writes to has no version to go by.
{
    my $net = nn->HybridSequential;
    $net->name_scope(sub { $net->add(nn->Dense(3, in_units => 2), nn->BatchNorm(in_channels => 3)) });
    $net->initialize(mx->init->One);
    $net->hybridize;
    my $x = mx->nd->ones([2, 2]);
    my $before = $net->($x) * 1;
    is(report($net)->{absorbed}, 1, 'a dense layer takes up normalisation');
    my $view = $net->[0]->weight->data->pdl_view;
    $net->($x);
    $view *= 2;
    is_close($net->($x), $before + 2, 'a change through a piddle is seen', 1e-5);
}

# Recurrent layers: weights are laid once, and again when they have changed.
for my $kind (qw(LSTM GRU RNN)) {
    my $net = gluon->rnn->$kind(20, num_layers => 2, bidirectional => 1, input_size => 5);
    $net->initialize(mx->init->Uniform(0.5));
    my @data = map { mx->nd->random->uniform(-1, 1, shape => [@$_]) } [7, 3, 5], [4, 1, 5], [2, 3, 5];
    my $both = sub {
        my ($what) = @_;
        $net->hybridize(0);
        my @want = map { $net->($_) } @data;
        $net->hybridize;
        for my $round (1, 2) {
            is_close($net->($data[$_]), $want[$_], "$kind, $what: data $_, call $round", 1e-6) for 0 .. $#data;
        }
    };
    $both->('as made');
    my $before = $net->($data[0]) * 1;
    my ($weight) = grep { $_->name =~ /h2h_weight/ } $net->collect_params->values;
    $weight->set_data($weight->data * 2);
    my $after = $net->($data[0]);
    cmp_ok(mx->nd->max(($after - $before)->abs)->asscalar, '>', 1e-3, "$kind: a changed weight is seen");
    $both->('changed');
}

# What upstream's own test of inlining asks for.
{
    my $net = nn->HybridSequential;
    $net->name_scope(sub { $net->add(nn->Dense(10)) for 1 .. 3 });
    $net->initialize;
    my %nodes;
    for my $limit (3, 0) {
        $net->hybridize($limit ? () : 1, inline_limit => $limit);
        my $y;
        autograd->record(sub { $y = $net->(mx->nd->zeros([1, 10])) });
        my $json = autograd->get_symbol($y)->tojson;
        $nodes{$limit} = () = $json =~ /"op":/g;
        $y->backward;
    }
    is($nodes{3}, $nodes{0} + 2, 'a graph of at most inline_limit calls is recorded call by call');
}

# Second order.
{
    my ($x, $w) = map { mx->sym->Variable($_) } qw(x w);
    my $op = AI::MXNet::CachedOp->new(mx->sym->tanh($x * $w) * $x);
    my ($a, $b) = map { mx->nd->array($_) } [0.3, -0.5], [0.7, 1.1];
    my @second;
    for my $f ($op, sub { mx->nd->tanh($_[0] * $_[1]) * $_[0] }) {
        $_->attach_grad for $a, $b;
        my $slope;
        autograd->record(
            sub {
                my $y = $f->($a, $b);
                ($slope) = @{ autograd->grad([$y], [$a], create_graph => 1, retain_graph => 1) };
            }
        );
        $slope->backward;
        push @second, [map { $_->grad * 1 } $a, $b];
    }
    is_close($second[0][$_], $second[1][$_], 'gradient of a gradient', 1e-6) for 0, 1;
}

done_testing;
