#!/usr/bin/env perl
# training.pl FOLDER [NAME...]: repeats whole training runs that MXNet recorded, from the same parameters and over the same batches, and
# prints for each how far the losses are off: within 1e-5 of the recorded ones over the first 30 steps, and 1e-2 to the last. MXNet's own
# two sets of kernels differ by 2e-6 and 5e-3.
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

# The losses of all steps.
sub losses
{
    my ($folder, $run) = @_;
    my $digits = nd->load("$folder/$run->{data}");
    my ($images, $labels) = @{$digits}{qw(images labels)};
    my $net = $network{ $run->{network} }->();
    $net->load_parameters("$folder/$run->{initial}");
    my $trainer = gluon->Trainer($net->collect_params, $run->{optimizer}, $run->{optimizer_params});
    my $softmax = gluon->loss->SoftmaxCrossEntropyLoss();
    my @losses;

    for my $batch (@{ $run->{batches} }) {
        my $rows = nd->array($batch, dtype => 'int32');
        my $x = nd->take($images, $rows)->astype('float32') / 255;
        my $y = nd->take($labels, $rows)->astype('float32');
        my $loss;
        autograd->record(sub { $loss = $softmax->($net->($x->reshape([-1, 1, 28, 28])), $y) });
        $loss->backward;
        $trainer->step($run->{batch_size});
        push @losses, $loss->mean->asscalar;
    }
    return @losses;
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
    my @losses = losses($folder, $run);
    my ($near, $far) = (0, 0);
    for my $step (0 .. $#losses) {
        my $off = abs($losses[$step] / $run->{losses}[$step] - 1);
        $near = $off if $step < FIRST and not $off <= $near;
        $far = $off if not $off <= $far;
    }
    my $ok = $near <= NEAR && $far <= FAR;
    $bad++ if not $ok;
    printf "%-4s %-18s %.1e over the first %d steps, %.1e over %d\n", $ok ? 'ok' : 'FAIL', $name, $near, FIRST, $far,
        scalar @losses;
}
exit($bad ? 1 : 0);
