#!/usr/bin/env perl
# A variational autoencoder that learns to write digits: perl vae.pl [epochs [picture]]
# The picture, vae.png, has digits beside what the network makes of them, and below digits that nobody wrote.
use 5.014;
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AI::MXNet qw(mx);
use AI::MXNet::Gluon qw(gluon);
use Example::MNIST qw(digits);
use Example::Progress qw(bar finish_line);
use Time::HiRes qw(time);

use constant { LATENT => 10, HIDDEN => 256, BATCH => 100 };

{

    package Autoencoder;
    use AI::MXNet::Gluon::Mouse;
    extends 'AI::MXNet::Gluon::HybridBlock';

    sub BUILD
    {
        my $self = shift;
        my $nn = 'AI::MXNet::Gluon::NN';
        $self->name_scope(
            sub {
                $self->encoder($nn->HybridSequential);
                $self->encoder->add(
                    $nn->Dense(main::HIDDEN, activation => 'relu', in_units => 784),
                    $nn->Dense(2 * main::LATENT, in_units => main::HIDDEN)
                );
                $self->decoder($nn->HybridSequential);
                $self->decoder->add($nn->Dense(main::HIDDEN, activation => 'relu', in_units => main::LATENT),
                    $nn->Dense(784, in_units => main::HIDDEN));
            }
        );
        return;
    }

    # The scores of the pixels, and for each picture how far its code is from the normal distribution.
    sub hybrid_forward
    {
        my ($self, $F, $x, $noise) = @_;
        my $code = $self->encoder->($x);
        my $mean = $F->slice_axis($code, axis => 1, begin => 0, end => main::LATENT);
        my $log_variance = $F->slice_axis($code, axis => 1, begin => main::LATENT, end => undef);
        my $distance = $F->sum($F->exp($log_variance) + $mean * $mean - 1 - $log_variance, axis => 1) * 0.5;
        my $scores = $self->decoder->($mean + $F->exp($log_variance * 0.5) * $noise);
        return ($scores, $distance);
    }
}

my ($epochs, $file) = @ARGV;
mx->random->seed(1);
srand 1;

my $net = Autoencoder->new;
$net->initialize(mx->init->Xavier);
$net->hybridize;
my $trainer = gluon->Trainer($net->collect_params, 'adam', { learning_rate => 1e-3 });
my $pixels_off = gluon->loss->SigmoidBCELoss();
my $batches = digits(train => 1, batch_size => BATCH);

sub rows { return $_[0]->astype('float32')->reshape([-1, 784]) / 255 }

for my $epoch (1 .. $epochs // 10) {
    my ($start, $count, $sum, $all) = (time, 0, 0, $batches->len);
    while (defined(my $batch = <$batches>)) {
        my $x = rows($batch->[0]);
        my $noise = nd->random->normal(0, 1, shape => [$x->len, LATENT]);
        my $loss;
        autograd->record(
            sub {
                my ($scores, $distance) = $net->($x, $noise);
                $loss = $pixels_off->($scores, $x) * 784 + $distance;
            }
        );
        $loss->backward;
        $trainer->step($x->len);
        $sum += $loss->mean->asscalar;
        bar($count, $all, sprintf 'epoch %d  loss %.2f', $epoch, $sum / $count) if not ++$count % 10;
    }
    finish_line(sprintf 'epoch %d  loss %.2f  %.0f images/s', $epoch, $sum / $count, $count * BATCH / (time - $start));
}

# Pictures of 28 by 28, rows of values from 0 to 1, as one sheet of so many columns, black on white with a margin.
sub sheet
{
    my ($rows, $columns) = @_;
    my $margin = nd->zeros([$rows->len, 32, 32]);
    $margin->slice('X', [2, 29], [2, 29]) .= $rows->reshape([-1, 28, 28]);
    my $sheet = $margin->reshape([-1, $columns, 32, 32])->transpose([0, 2, 1, 3])->reshape([-1, 32 * $columns, 1]);
    return ((1 - $sheet) * 255)->round->astype('uint8');
}

my $test = digits(train => 0, batch_size => 60);
my $shown = rows(<$test>->[0]);
my ($scores) = $net->($shown, nd->zeros([60, LATENT]));
my $pairs = nd->stack($shown->reshape([3, 20, 784]), $scores->sigmoid->reshape([3, 20, 784]), axis => 1);
my $drawn = $net->decoder->(nd->random->normal(0, 1, shape => [120, LATENT]))->sigmoid;
my $picture = sheet(nd->concat($pairs->reshape([-1, 784]), $drawn, dim => 0), 20);
$file //= 'vae.png';
mx->image->imwrite($file, $picture);
printf "%s: %d by %d pixels; three times a row of digits above what became of them, then six rows of new ones\n", $file,
    reverse @{ $picture->shape }[0, 1];
