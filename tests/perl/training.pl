#!/usr/bin/env perl
# training.pl FOLDER [NAME...]: repeats whole training runs that MXNet recorded, from the same parameters and over the same batches, and
# prints for each how far the losses are off: within 1e-5 of the recorded ones over the first 30 steps, and 1e-2 to the last. MXNet's own
# two sets of kernels differ by 2e-6 and 5e-3.
#
# Training multiplies rounding errors: once the largest of a pool, or the sign before a relu, falls the other way, two runs part. So
# a run that is further off is made again in float64, which tells whose rounding it was:
#   near  Keshi's float32 stays within the limits of float64, where the recorded run does not;
#   wild  float64 itself leaves the limits when the first parameters are moved by half a unit in the last place of float32, so that
#         nobody's float32 can be told right from wrong that far.
# Anything else fails.
use 5.014;
use strict;
use warnings;
use AI::MXNet qw(mx);
use AI::MXNet::Gluon qw(gluon);
use JSON::PP ();

use constant { FIRST => 30, NEAR => 1e-5, FAR => 1e-2 };

{

    package Rows;
    use AI::MXNet::Gluon::Mouse;
    extends 'AI::MXNet::Gluon::Block';

    # The picture as a sequence of its rows.
    sub BUILD
    {
        my $self = shift;
        $self->name_scope(
            sub {
                $self->lstm(AI::MXNet::Gluon::RNN->LSTM(24, num_layers => 2, layout => 'NTC', input_size => 28));
                $self->out(AI::MXNet::Gluon::NN->Dense(10, in_units => 24));
            }
        );
        return;
    }

    sub forward
    {
        my ($self, $x) = @_;
        my $steps = $self->lstm->($x->reshape([-1, 28, 28]));
        return $self->out->($steps->slice_axis(axis => 1, begin => 27, end => 28)->reshape([-1, 24]));
    }
}

my %network = (
    mlp => sub {
        my $net = nn->Sequential;
        $net->add(nn->Flatten, nn->Dense(32, activation => 'relu'), nn->Dense(16, activation => 'tanh'), nn->Dense(10));
        return $net;
    },
    lenet => sub {
        my $net = nn->Sequential;
        $net->add(
            nn->Conv2D(6, 5, activation => 'relu'),
            nn->MaxPool2D(2, 2),
            nn->BatchNorm(),
            nn->Conv2D(16, 3, activation => 'relu'),
            nn->AvgPool2D(2, 2),
            nn->Flatten,
            nn->Dense(32, activation => 'sigmoid'),
            nn->Dense(10)
        );
        return $net;
    },
    rows => sub { return Rows->new },
);

# Moves every parameter by half a unit in the last place of float32, up and down in turn.
sub nudge
{
    my $net = shift;
    for my $param (grep { $_->grad_req ne 'null' } $net->collect_params->values) {
        my $data = $param->data;
        my $signs = nd->arange(stop => $data->size, dtype => $data->dtype)->reshape($data->shape) % 2 * 2 - 1;
        $param->set_data($data + $data * $signs * 2**-24);
    }
    return;
}

# The losses of all steps.
sub losses
{
    my ($folder, $run, $dtype, $nudged) = @_;
    my $digits = nd->load("$folder/$run->{data}");
    my ($images, $labels) = @{$digits}{qw(images labels)};
    my $net = $network{ $run->{network} }->();
    $net->load_parameters("$folder/$run->{initial}");
    $net->cast($dtype);
    nudge($net) if $nudged;
    my $trainer = gluon->Trainer($net->collect_params, $run->{optimizer}, $run->{optimizer_params});
    my $softmax = gluon->loss->SoftmaxCrossEntropyLoss();
    my @losses;

    for my $batch (@{ $run->{batches} }) {
        my $rows = nd->array($batch, dtype => 'int32');
        my $x = nd->take($images, $rows)->astype($dtype) / 255;
        my $y = nd->take($labels, $rows)->astype($dtype);
        my $loss;
        autograd->record(sub { $loss = $softmax->($net->($x->reshape([-1, 1, 28, 28])), $y) });
        $loss->backward;
        $trainer->step($run->{batch_size});
        push @losses, $loss->mean->asscalar;
    }
    return @losses;
}

# How far two lists of losses are apart: over the first steps, and over all.
sub apart
{
    my ($losses, $want) = @_;
    my ($near, $far) = (0, 0);
    for my $step (0 .. $#$want) {
        my $off = abs($losses->[$step] / $want->[$step] - 1);
        $near = $off if $step < FIRST and not $off <= $near;
        $far = $off if not $off <= $far;
    }
    return ($near, $far);
}

sub within { return $_[0] <= NEAR && $_[1] <= FAR }

# The verdict on a run, and what there is to say.
sub judge
{
    my ($folder, $run) = @_;
    my $losses = [losses($folder, $run, 'float32')];
    my @off = apart($losses, $run->{losses});
    my $text = sprintf '%.1e over the first %d steps, %.1e over %d', $off[0], FIRST, $off[1], scalar @$losses;
    return ok => $text if within(@off);
    my $exact = [losses($folder, $run, 'float64')];
    my @ours = apart($losses, $exact);
    my @nudged = apart([losses($folder, $run, 'float64', 1)], $exact);
    $text .= sprintf '; from float64: %.1e and %.1e, the recorded run %.1e and %.1e, float64 nudged %.1e and %.1e',
        @ours,
        apart($run->{losses}, $exact), @nudged;
    return near => $text if within(@ours);
    return wild => $text if $off[0] <= NEAR and not within(@nudged);
    return FAIL => $text;
}

my ($folder, @names) = @ARGV;
die "usage: $0 FOLDER [NAME...]\n" if not $folder;
@names = map { m{([^/]+)\.json$} } glob "$folder/*.json" if not @names;
die "there are no runs in $folder\n" if not @names;
my $bad = 0;
for my $name (@names) {
    open my $in, '<', "$folder/$name.json" or die "$folder/$name.json: $!\n";
    my $run = JSON::PP::decode_json(do { local $/ = undef; <$in> });
    close $in;
    my ($verdict, $text) = judge($folder, $run);
    $bad++ if $verdict eq 'FAIL';
    printf "%-4s %-18s %s\n", $verdict, $name, $text;
}
exit($bad ? 1 : 0);
